/*
 * got_entries.h: the words by which loaded files call an allocator, and leads them to its handlers
 *
 * A dynamic program and its libraries call malloc and its family through words of their own
 * (R_X86_64_JUMP_SLOT and R_X86_64_GLOB_DAT), which the loader has filled in. Each such word gets
 * the address of a stub instead, that goes on to the handler (capture/record/heap_entries.h) with
 * the word's old value in rcx: the function to be called. A word that the loader has not filled in
 * yet (lazy binding) is led where another file's word tells the function; else it is counted.
 *
 * A program may have copied a word's value, as where it keeps free as a callback. So the stubs, and
 * what they lead to, have to stay after the words were put back.
 *
 * What is not seen: calls within the allocator's own file that go by no such word, addresses of
 * functions that the program has kept, and files that are loaded later.
 *
 * The process is untrusted: what does not fit is left out, sizes are bounded. Finding reads alone,
 * while the process runs; making and undoing is done while all its threads stand. Memory is this
 * module's own, until close. Single-threaded. Errors: negative errno.
 */
#ifndef VMT_GOT_ENTRIES_H
#define VMT_GOT_ENTRIES_H

#include "base/buffer.h"
#include "format/heap_functions.h"
#include "inject/code_map.h"
#include "inject/target_memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_GOT_ENTRIES_WAYS 64u
#define VMT_GOT_ENTRIES_STUB_BYTES 24u
#define VMT_GOT_ENTRIES_MAX_SLOTS 65536u

/* One word. */
struct vmt_got_slot {
	uint64_t address;
	uint64_t old_value;
	uint64_t new_value; /* once stubs are made; 0: it is left as it is */
	uint32_t entry;	    /* enum vmt_heap_entry */
	bool is_lazy;	    /* the loader has not filled it in */
};

/* A function, and what calls of it come to. */
struct vmt_got_way {
	uint64_t function;
	uint64_t stub;
	uint32_t entry;
};

struct vmt_got_entries {
	struct vmt_buffer buffer; /* struct vmt_got_slot */
	size_t count;
	struct vmt_got_way ways[VMT_GOT_ENTRIES_WAYS];
	uint32_t ways_count;
	uint32_t unled; /* words that stay as they are: nobody tells their function */
	bool is_full;	/* there were more words or functions than there is room for */
};

/* Adds the words of the file whose ELF header lies there. -ENOEXEC: it is no such file, or its
 * tables are not where they would have to be. */
int vmt_got_entries_add(struct vmt_got_entries *entries, uint64_t header, vmt_code_map_reader *read,
			void *context);

/* After the last file: which functions there are, and bytes of their stubs. */
uint64_t vmt_got_entries_settle(struct vmt_got_entries *entries);

/* The stubs as they are to lie at the address, anywhere; handlers by enum vmt_heap_entry. */
void vmt_got_entries_write_stubs(struct vmt_got_entries *entries, uint64_t address,
				 const uint64_t handlers[VMT_HEAP_ENTRIES_COUNT], uint8_t *stubs);

/* Changes the words, also on pages that are read-only by now; all or none. A word that the loader
 * has filled in meanwhile is left as it is, and counted as unled. */
int vmt_got_entries_make(struct vmt_got_entries *entries, const struct vmt_target *target);

/* Puts back each word that still is as it was made: its file may be gone, or the loader may have
 * filled it in. */
int vmt_got_entries_undo(const struct vmt_got_entries *entries, const struct vmt_target *target);

void vmt_got_entries_close(struct vmt_got_entries *entries);

#endif
