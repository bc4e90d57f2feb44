"""From a camera's frames to annotated images and events."""
