"""The bytes: files, thumbnails, portraits."""
