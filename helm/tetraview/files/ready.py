"""Asks each address named whether it is ready, for up to two minutes; fails with what the last answer was."""

import ssl
import sys
import time
import urllib.request

# Whether a pod is ready is asked, not who it is.
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
deadline = time.monotonic() + 120
for url in sys.argv[1:]:
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10, context=context) as answer:
                print(url, answer.status, answer.read().decode())
            break
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"{url}: {error}")
            time.sleep(2)
