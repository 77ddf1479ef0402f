"""`python -m oauth_callback.cli`, as `oauth-callback`."""

import sys

from oauth_callback.cli.main import main

sys.exit(main())
