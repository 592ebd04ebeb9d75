"""The My galaxy page: a picture of one's own beside those of the bundle."""
