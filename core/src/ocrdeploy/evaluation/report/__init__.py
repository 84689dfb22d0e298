"""What an evaluation came to, for terminals, spreadsheets, documents, browsers and continuous integration."""
