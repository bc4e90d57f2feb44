"""The live server: cameras in, annotated MJPEG out."""
