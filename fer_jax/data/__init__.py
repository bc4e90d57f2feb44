"""Sources of labelled faces, their audit, and the in-memory input pipeline."""
