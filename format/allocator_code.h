/*
 * allocator_code.h: where in the program's file does the code of an allocator lie that is linked
 * into it?
 *
 * The payload of an ALLOCATOR chunk: this head, then as many ranges. Which memory is an allocator's
 * shows by the functions that mapped it; kept in the trace, it shows as well when the program's
 * file is gone, or another one. Addresses are the file's own (symbol values): load bias + address
 * is where the code lay in the process.
 */
#ifndef VMT_ALLOCATOR_CODE_H
#define VMT_ALLOCATOR_CODE_H

#include <stdint.h>

#define VMT_ALLOCATOR_RANGES 4096u /* at most */

struct vmt_allocator_code {
	char name[16]; /* "jemalloc" ..., NUL-terminated */
	uint32_t count;
	uint32_t padding;
};

struct vmt_allocator_range {
	uint64_t low; /* [low, high) */
	uint64_t high;
};

/* Beginnings of the symbols of functions that map memory, as they stand in a file: C++ names
 * mangled. Ends with NULL. */
struct vmt_allocator_prefix {
	const char *symbol;
	const char *allocator;
};

#define VMT_ALLOCATOR_PREFIXES                                                                     \
	{                                                                                          \
		{"je_", "jemalloc"}, {"_rjem_", "jemalloc"}, {"os_pages_map", "jemalloc"},         \
		    {"extent_dss_", "jemalloc"}, {"_ZN8tcmalloc", "tcmalloc"},                     \
		    {"TCMalloc_", "tcmalloc"}, {"_ZN16MmapSysAllocator", "tcmalloc"},              \
		    {"_ZN12_GLOBAL__N_116MmapSysAllocator", "tcmalloc"},                           \
		    {"_ZN16SbrkSysAllocator", "tcmalloc"},                                         \
		    {"_ZN12_GLOBAL__N_116SbrkSysAllocator", "tcmalloc"},                           \
		    {"_ZN19DefaultSysAllocator", "tcmalloc"},                                      \
		    {"_ZN12_GLOBAL__N_119DefaultSysAllocator", "tcmalloc"},                        \
		    {"_ZN13LowLevelAlloc", "tcmalloc"}, {"mi_os_", "mimalloc"},                    \
		    {"mi_unix_mmap", "mimalloc"}, {"_mi_", "mimalloc"}, {"unix_mmap", "mimalloc"}, \
		    {"rpmalloc", "rpmalloc"}, {"_rpmalloc", "rpmalloc"},                           \
		    {"_ZN8snmalloc", "snmalloc"}, {"_ZN5scudo", "scudo"},                          \
		{                                                                                  \
			0, 0                                                                       \
		}                                                                                  \
	}

#endif
