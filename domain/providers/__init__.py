"""The presets: one module of data a provider, loaded by its name (`functions.settings.presets`)."""
