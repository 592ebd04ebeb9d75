"""Taking home: tables, figures, links, reports, other programs."""
