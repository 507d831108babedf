/*
 * touch_record.h: what perf's records say of a page fault
 *
 * The fields stand in the order of perf_event_open(2), as the event's attributes ask for them
 * (touch_events.h): ip, pid and tid, time, address, the event's id, the chain of frame pointers,
 * then registers and a copy of the stack, then the page's size. Bytes come from the kernel, but are
 * taken as untrusted. Pure.
 */
#ifndef VMT_TOUCH_RECORD_H
#define VMT_TOUCH_RECORD_H

#include "base/maps_line.h"
#include "collect/touch_ring.h"

/* What the events were asked for beside what every sample has. */
#define VMT_TOUCH_HAS_STACK 1u /* registers and a copy of the stack */
#define VMT_TOUCH_HAS_SIZE 2u  /* the page's size */

/* Registers of the user side, in the order of a sample: that of their bits in the mask. */
enum vmt_touch_register {
	VMT_TOUCH_REGISTER_FP, /* frame pointer */
	VMT_TOUCH_REGISTER_SP,
	VMT_TOUCH_REGISTER_IP,
	VMT_TOUCH_REGISTERS
};

struct vmt_touch_fault {
	uint64_t ip;
	uint64_t time; /* of the events' clock */
	uint64_t address;
	uint64_t event_id;
	uint64_t page_bytes; /* 0: not known */
	uint32_t pid;
	uint32_t tid;
	bool kernel; /* in kernel mode */
	/* These point into the record. */
	const uint64_t *chain; /* with perf's markers */
	uint64_t chain_count;
	bool has_registers; /* of a 64-bit process */
	uint64_t registers[VMT_TOUCH_REGISTERS];
	const unsigned char *copy; /* of the stack; NULL: none */
	uint64_t copy_bytes;	   /* that were copied */
	uint64_t copy_wanted;	   /* that were asked for */
};

/* False: the record is not of that form. */
bool vmt_touch_record_read(const struct vmt_touch_record *record, uint32_t has,
			   struct vmt_touch_fault *fault);

/* Of a record of code that was mapped: whose, what and where. The path points into the record. */
bool vmt_touch_record_read_mapped(const struct vmt_touch_record *record, uint32_t *pid,
				  struct vmt_mapping *mapping);

/* Of a record of a fork: the process that has made a thread, or another process. */
bool vmt_touch_record_read_fork(const struct vmt_touch_record *record, uint32_t *maker,
				bool *is_thread);

/* Of a record of a new name: the process that has executed something. False also where a thread has
 * only named itself. */
bool vmt_touch_record_read_exec(const struct vmt_touch_record *record, uint32_t *pid);

/* Of a record that counts losses: how many, and of whom they may be. */
bool vmt_touch_record_read_lost(const struct vmt_touch_record *record, uint32_t *pid,
				uint64_t *lost);

#endif
