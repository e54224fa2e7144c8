// SPDX-License-Identifier: MIT
/*
 * interpose-module: a library that a program loads late, for the interpose test.
 */
#include <stdlib.h>

__attribute__((visibility("default"))) void *module_allocate(size_t n);
__attribute__((visibility("default"))) const void *module_address_of_malloc(void);

void *module_allocate(size_t n)
{
	return malloc(n);
}

const void *module_address_of_malloc(void)
{
	void *(*function)(size_t) = malloc;

	return *(const void **)&function;
}
