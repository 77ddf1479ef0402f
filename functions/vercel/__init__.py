"""The application as Vercel functions: one module each, all of them the same application."""
