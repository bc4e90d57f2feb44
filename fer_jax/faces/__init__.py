"""Finding, cutting, following and drawing faces in pictures and videos."""
