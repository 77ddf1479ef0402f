"""The application as Vercel functions: one module each, with no more of it than it answers with."""
