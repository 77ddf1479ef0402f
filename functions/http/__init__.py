"""HTTP: messages, problem documents, pages."""
