/*
 * own_file.h: the test program itself, as a file in which names are looked up.
 */
#ifndef VMT_OWN_FILE_H
#define VMT_OWN_FILE_H

#include "format/module_table.h"

#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct own_file {
	unsigned char *bytes;
	size_t length;
	uint64_t bias; /* where it is loaded */
};

static struct own_file own;

static inline int
own_file_take_bias(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	own.bias = info->dlpi_addr;
	return 1; /* the program comes first */
}

/* Its bytes and its place; false: they can't be had. */
static inline bool
own_file_load(void)
{
	FILE *file = fopen("/proc/self/exe", "rb");
	struct stat status;

	if (!file || fstat(fileno(file), &status) != 0)
		return false;
	own.length = (size_t)status.st_size;
	own.bytes = malloc(own.length);
	dl_iterate_phdr(own_file_take_bias, NULL);
	return own.bytes && fread(own.bytes, 1, own.length, file) == own.length &&
	       fclose(file) == 0;
}

/* As its symbol table has it. */
static inline uint64_t
own_file_address(int (*function)(int))
{
	return (uint64_t)(uintptr_t)function - own.bias;
}

static inline void
own_file_write(const char *path, const unsigned char *bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, own.length), own.length);
	close(fd);
}

static inline struct vmt_module
own_file_module(const char *path)
{
	return (struct vmt_module){.path = path, .path_bytes = (uint32_t)strlen(path)};
}

#endif
