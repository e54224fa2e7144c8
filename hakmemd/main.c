/* SPDX-License-Identifier: MIT */
/* hakmemd: everything is in the library beside this file, so that tests can link it. */
#include <config.h>

#include "hakmemd/daemon.h"

int main(int argc, char **argv)
{
	struct daemon_options options;
	int r = daemon_parse(argc, argv, &options);

	return r >= 0 ? r : daemon_main(&options);
}
