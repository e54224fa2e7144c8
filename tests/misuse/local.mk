# SPDX-License-Identifier: MIT
# Programs that hand the library pointers they must not; the line it says is compared to the letter.
if !SANITIZERS
check_PROGRAMS += tests/misuse/misuse.preload
TESTS += tests/misuse/misuse.preload
endif

# The compiler sees the misuse, as it should: here it is meant.
tests_misuse_misuse_preload_SOURCES = tests/misuse/misuse.c $(api_headers)
tests_misuse_misuse_preload_CPPFLAGS = $(api_cppflags)
tests_misuse_misuse_preload_CFLAGS = $(api_cflags) -Wno-free-nonheap-object
