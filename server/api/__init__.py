"""What visitors can ask for over HTTP, one file for each kind of question."""
