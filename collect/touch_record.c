#include "collect/touch_record.h"

#include "base/text.h"

#include <linux/perf_event.h>
#include <string.h>

#ifndef PERF_SAMPLE_REGS_ABI_64
#define PERF_SAMPLE_REGS_ABI_64 2
#endif

struct cursor {
	const unsigned char *at;
	const unsigned char *end;
};

static uint64_t
left(const struct cursor *cursor)
{
	return (uint64_t)(cursor->end - cursor->at);
}

static bool
take(struct cursor *cursor, uint64_t *word)
{
	if (left(cursor) < sizeof(*word))
		return false;
	memcpy(word, cursor->at, sizeof(*word));
	cursor->at += sizeof(*word);
	return true;
}

static bool
take_ids(struct cursor *cursor, uint32_t *pid, uint32_t *tid)
{
	uint64_t word;

	if (!take(cursor, &word))
		return false;
	*pid = (uint32_t)word;
	*tid = (uint32_t)(word >> 32);
	return true;
}

static bool
take_chain(struct cursor *cursor, struct vmt_touch_fault *fault)
{
	if (!take(cursor, &fault->chain_count) ||
	    fault->chain_count > left(cursor) / sizeof(uint64_t))
		return false;
	fault->chain = (const uint64_t *)(const void *)cursor->at;
	cursor->at += fault->chain_count * sizeof(uint64_t);
	return true;
}

/* A kernel thread, or one that has left its memory, has none. */
static bool
take_registers(struct cursor *cursor, struct vmt_touch_fault *fault)
{
	uint64_t abi;

	if (!take(cursor, &abi))
		return false;
	fault->has_registers = abi == PERF_SAMPLE_REGS_ABI_64;
	for (unsigned i = 0; abi != 0 && i < VMT_TOUCH_REGISTERS; i++)
		if (!take(cursor, &fault->registers[i]))
			return false;
	return true;
}

static bool
take_copy(struct cursor *cursor, struct vmt_touch_fault *fault)
{
	if (!take(cursor, &fault->copy_wanted))
		return false;
	if (fault->copy_wanted == 0)
		return true;
	if (fault->copy_wanted > left(cursor) || fault->copy_wanted % 8 != 0)
		return false;
	fault->copy = cursor->at;
	cursor->at += fault->copy_wanted;
	return take(cursor, &fault->copy_bytes) && fault->copy_bytes <= fault->copy_wanted;
}

bool
vmt_touch_record_read(const struct vmt_touch_record *record, uint32_t has,
		      struct vmt_touch_fault *fault)
{
	struct cursor cursor = {record->body, record->body + record->body_bytes};

	*fault = (struct vmt_touch_fault){
	    .kernel = (record->misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_KERNEL};
	if (record->type != PERF_RECORD_SAMPLE || !take(&cursor, &fault->ip) ||
	    !take_ids(&cursor, &fault->pid, &fault->tid) || !take(&cursor, &fault->time) ||
	    !take(&cursor, &fault->address) || !take(&cursor, &fault->event_id) ||
	    !take_chain(&cursor, fault))
		return false;
	if ((has & VMT_TOUCH_HAS_STACK) &&
	    (!take_registers(&cursor, fault) || !take_copy(&cursor, fault)))
		return false;
	if ((has & VMT_TOUCH_HAS_SIZE) && !take(&cursor, &fault->page_bytes))
		return false;
	return left(&cursor) == 0;
}

/* Two words of 32 bits, device numbers or the protection and flags. */
static bool
take_pair(struct cursor *cursor, uint32_t *first, uint32_t *second)
{
	return take_ids(cursor, first, second);
}

/* ids, address, length, offset, device, inode, its generation, protection and flags, the path with
 * its NUL. */
bool
vmt_touch_record_read_mapped(const struct vmt_touch_record *record, uint32_t *pid,
			     struct vmt_mapping *mapping)
{
	struct cursor cursor = {record->body, record->body + record->body_bytes};
	uint32_t tid, major, minor, protection, flags;
	uint64_t length, generation;
	const char *nul;

	*mapping = (struct vmt_mapping){.path = ""};
	if (record->type != PERF_RECORD_MMAP2 || !take_ids(&cursor, pid, &tid) ||
	    !take(&cursor, &mapping->start) || !take(&cursor, &length) ||
	    !take(&cursor, &mapping->file_offset) || !take_pair(&cursor, &major, &minor) ||
	    !take(&cursor, &mapping->inode) || !take(&cursor, &generation) ||
	    !take_pair(&cursor, &protection, &flags) || length > UINT64_MAX - mapping->start)
		return false;
	nul = vmt_text_find_byte((const char *)cursor.at, left(&cursor), '\0');
	if (!nul)
		return false;
	mapping->end = mapping->start + length;
	mapping->device = major << 20 | (minor & 0xfffff);
	mapping->protection = (uint8_t)protection;
	mapping->path = (const char *)cursor.at;
	mapping->path_bytes = (uint16_t)(nul - mapping->path);
	return true;
}

/* The new one's process, its parent's, then both threads' ids. */
bool
vmt_touch_record_read_fork(const struct vmt_touch_record *record, uint32_t *maker, bool *is_thread)
{
	struct cursor cursor = {record->body, record->body + record->body_bytes};
	uint32_t pid;

	if (record->type != PERF_RECORD_FORK || !take_ids(&cursor, &pid, maker))
		return false;
	*is_thread = pid == *maker;
	return true;
}

bool
vmt_touch_record_read_exec(const struct vmt_touch_record *record, uint32_t *pid)
{
	struct cursor cursor = {record->body, record->body + record->body_bytes};
	uint32_t tid;

	return record->type == PERF_RECORD_COMM && (record->misc & PERF_RECORD_MISC_COMM_EXEC) &&
	       take_ids(&cursor, pid, &tid);
}

/* id, count, then what every record ends with: ids, time, the event's id. */
bool
vmt_touch_record_read_lost(const struct vmt_touch_record *record, uint32_t *pid, uint64_t *lost)
{
	struct cursor cursor = {record->body, record->body + record->body_bytes};
	uint64_t id;
	uint32_t tid;

	return record->type == PERF_RECORD_LOST && take(&cursor, &id) && take(&cursor, lost) &&
	       take_ids(&cursor, pid, &tid);
}
