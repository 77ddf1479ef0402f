"""The application as Vercel functions: a module each, which imports its own endpoint only."""
