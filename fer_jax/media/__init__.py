"""Images and videos that may be anything: found, read, decoded, refused with a reason."""
