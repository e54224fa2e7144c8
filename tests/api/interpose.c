// SPDX-License-Identifier: MIT
/*
 * interpose: who serves malloc?
 *
 * Why: a version node on `malloc` in a linker script, or a libc that binds its own calls, leaves a program
 * running on libc's malloc while everything seems to work.
 * How: the resolved symbol tells the object that serves it.  Then every loaded object's own slots (the
 * relocations through which libc, a dlopened module and the C++ library call the family) are read and must
 * all hold addresses of that object.  The program executes itself once with LD_BIND_NOW=1, so that
 * lazy slots are bound.  Without hakmem the object is libc or whatever is preloaded; the checks hold there too.
 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block.h"
#include "tap.h"

#ifndef MODULE_PATH
#define MODULE_PATH "tests/api/.libs/interpose-module.so"
#endif

static const char *const family[] = {
	"malloc", "free", "calloc", "realloc", "reallocarray", "memalign", "posix_memalign", "aligned_alloc", "valloc",
	"pvalloc", "malloc_usable_size", "malloc_trim", "mallinfo2", "malloc_stats", "malloc_info",
};
#define N_FAMILY (sizeof(family) / sizeof(family[0]))

static const void *server_base; /* where the object that serves malloc is loaded */

static const char *object_of(const void *address, const void **ret_base)
{
	Dl_info info;

	*ret_base = NULL;
	if (!address || !dladdr(address, &info))
		return "nothing";
	*ret_base = info.dli_fbase;
	return info.dli_fname;
}

static bool served_here(const void *address)
{
	const void *base;

	object_of(address, &base);
	return base != NULL && base == server_base;
}

static void test_symbols(void)
{
	const char *server = object_of(dlsym(RTLD_DEFAULT, "malloc"), &server_base);
	size_t i;

	if (tap_under_hakmem())
		tap_ok(strstr(server, "libhakmem.so") != NULL, "malloc is served by %s", server);
	else
		tap_ok(server_base != NULL, "malloc is served by %s", server);
	for (i = 0; i < N_FAMILY; i++) {
		const void *base;
		void *address = dlsym(RTLD_DEFAULT, family[i]);
		const char *object = object_of(address, &base);

		if (base != server_base && !tap_under_hakmem())
			tap_skip(family[i], "a preloaded peer leaves it to %s", object);
		else
			tap_ok(base == server_base, "%s is served by %s", family[i], object);
	}
}

/* The tables of one loaded object that lead to its slots. */
struct tables {
	const Elf64_Sym *symbols;
	const char *names;
	const Elf64_Rela *rela, *jump;
	size_t n_rela, n_jump;
};

/* glibc stores absolute addresses in the dynamic section, except the vDSO's. */
static bool find_tables(const struct dl_phdr_info *object, struct tables *ret)
{
	const Elf64_Dyn *dynamic = NULL;
	size_t i;

	memset(ret, 0, sizeof(*ret));
	for (i = 0; i < object->dlpi_phnum; i++)
		if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
			dynamic = (const void *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
	for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
		const void *at = (const void *)dynamic->d_un.d_ptr;

		switch (dynamic->d_tag) {
		case DT_SYMTAB: ret->symbols = at; break;
		case DT_STRTAB: ret->names = at; break;
		case DT_RELA: ret->rela = at; break;
		case DT_RELASZ: ret->n_rela = dynamic->d_un.d_val / sizeof(Elf64_Rela); break;
		case DT_JMPREL: ret->jump = at; break;
		case DT_PLTRELSZ: ret->n_jump = dynamic->d_un.d_val / sizeof(Elf64_Rela); break;
		default: break;
		}
	}
	return ret->symbols && ret->names && (uintptr_t)ret->symbols > object->dlpi_addr;
}

static bool in_family(const char *name)
{
	size_t i;

	for (i = 0; i < N_FAMILY; i++)
		if (strcmp(name, family[i]) == 0)
			return true;
	return false;
}

static void check_slots(struct tap_tally *tally, const struct dl_phdr_info *object, const struct tables *tables,
			const Elf64_Rela *slots, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const char *name = tables->names + tables->symbols[ELF64_R_SYM(slots[i].r_info)].st_name;
		const void *const *slot = (const void *const *)(object->dlpi_addr + slots[i].r_offset);
		const void *base;

		if (!in_family(name) || (!tap_under_hakmem() && !served_here(dlsym(RTLD_DEFAULT, name))))
			continue;
		tap_tally(tally, served_here(*slot), "%s calls %s of %s", object->dlpi_name, name,
			  object_of(*slot, &base));
	}
}

static int visit(struct dl_phdr_info *object, size_t size, void *arg)
{
	struct tap_tally tally = { 0 };
	struct tables tables;
	const char *name = object->dlpi_name[0] ? object->dlpi_name : "the executable";

	(void)size;
	(void)arg;
	if (!find_tables(object, &tables))
		return 0;
	check_slots(&tally, object, &tables, tables.rela, tables.n_rela);
	check_slots(&tally, object, &tables, tables.jump, tables.n_jump);
	if (tally.n_checked > 0)
		tap_tally_ok(&tally, name);
	return 0;
}

/* libc's own blocks go back through our free: a block of another allocator would stop the process. */
static void test_libc_blocks(void)
{
	char *line = NULL, *copy = strdup("copied by libc");
	size_t size = 0;
	FILE *stream = fopen("/proc/self/maps", "r");
	ssize_t n = stream ? getline(&line, &size, stream) : -1;
	char *path = realpath("/proc/self/..", NULL);

	tap_ok(n > 0 && copy && path, "strdup, fopen, getline and realpath work");
	tap_ok(malloc_usable_size(copy) >= 15 && malloc_usable_size(line) >= size && malloc_usable_size(path) >= 6,
	       "and the allocator knows the blocks they gave");
	copy = block_hide(realloc(copy, 1000));
	tap_ok(strcmp(copy, "copied by libc") == 0, "and takes them back");
	free(copy);
	free(line);
	free(path);
	if (stream)
		fclose(stream);
}

static void test_module(void)
{
	void *module = dlopen(MODULE_PATH, RTLD_NOW | RTLD_LOCAL);
	void *(*allocate)(size_t) = NULL;
	const void *(*address_of_malloc)(void) = NULL;
	void *p;

	if (!module) {
		tap_ok(false, "dlopen: %s", dlerror());
		return;
	}
	*(void **)&allocate = dlsym(module, "module_allocate");
	*(void **)&address_of_malloc = dlsym(module, "module_address_of_malloc");
	tap_ok(served_here(address_of_malloc()), "a dlopened module resolves malloc to the same object");
	p = allocate(1000);
	tap_ok(p && malloc_usable_size(p) >= 1000, "its blocks are the allocator's");
	free(p);
}

/* operator new by its mangled name, so that no C++ compiler is needed. */
static void test_cxx(void)
{
	void *library = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_GLOBAL);
	void *(*operator_new)(size_t) = NULL;
	void (*operator_delete)(void *) = NULL;
	void *p;

	if (!library) {
		tap_skip("C++ operator new", "no libstdc++.so.6");
		return;
	}
	*(void **)&operator_new = dlsym(library, "_Znwm");
	*(void **)&operator_delete = dlsym(library, "_ZdlPv");
	p = block_hide(operator_new(100));
	tap_ok(block_aligned(p, 16) && malloc_usable_size(p) >= 100, "C++ operator new gives the allocator's blocks");
	operator_delete(p);
	p = block_hide(malloc(50));
	operator_delete(p);
	tap_ok(true, "C++ operator delete takes them");
}

int main(int argc, char **argv)
{
	(void)argc;
	if (!getenv("LD_BIND_NOW")) {
		setenv("LD_BIND_NOW", "1", 1);
		execv("/proc/self/exe", argv);
		tap_ok(false, "cannot execute itself: %s", strerror(errno));
		return tap_done();
	}
	test_symbols();
	test_libc_blocks();
	test_module();
	test_cxx();
	dl_iterate_phdr(visit, NULL); /* last: libstdc++ and the module are loaded now */
	return tap_done();
}
