/* SPDX-License-Identifier: MIT */
/* What every unit test of the daemon includes: cmocka wants the headers before it, in this order. */
#ifndef TESTS_HAKMEMD_UNIT_H
#define TESTS_HAKMEMD_UNIT_H

#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#endif
