"""The formats of channels: each makes an alert's request, mail or message, and sends nothing."""
