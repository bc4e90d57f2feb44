"""Facial expression recognition to train, run and trust."""
