"""The newcomer's tour in Chromium and, where it is installed, in Firefox."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE_MS, SIZE, watch
from tests.browser.tour import ADDRESS, Tour

pytestmark = pytest.mark.browser
