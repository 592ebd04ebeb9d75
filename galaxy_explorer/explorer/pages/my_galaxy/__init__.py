"""The My galaxy page: a picture of the visitor's own."""
