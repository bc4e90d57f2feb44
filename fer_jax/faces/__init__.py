"""Finding, cutting, following and drawing faces in images and videos."""
