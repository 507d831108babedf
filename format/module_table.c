#include "format/module_table.h"

#include "base/assert.h"
#include "base/atomic.h"

#include <stddef.h>
#include <string.h>

static uint64_t
record_bytes(uint32_t path_bytes)
{
	return (sizeof(struct vmt_module_record) + path_bytes + 7) & ~UINT64_C(7);
}

static bool
same(const struct vmt_module *a, const struct vmt_module *b)
{
	return a->path_bytes == b->path_bytes && a->build_id_bytes == b->build_id_bytes &&
	       memcmp(a->path, b->path, a->path_bytes) == 0 &&
	       (a->build_id_bytes == 0 || memcmp(a->build_id, b->build_id, a->build_id_bytes) == 0);
}

/* Cuts what is longer than a record may hold. */
static struct vmt_module
limit(const struct vmt_module *module)
{
	struct vmt_module limited = *module;

	if (limited.path_bytes > VMT_MODULE_PATH_MAX_BYTES)
		limited.path_bytes = VMT_MODULE_PATH_MAX_BYTES;
	if (limited.build_id_bytes > VMT_BUILD_ID_MAX_BYTES)
		limited.build_id_bytes = VMT_BUILD_ID_MAX_BYTES;
	return limited;
}

static void
store(unsigned char *at, const struct vmt_module *module)
{
	struct vmt_module_record record = {
	    .record_bytes = (uint32_t)record_bytes(module->path_bytes),
	    .path_bytes = (uint16_t)module->path_bytes,
	    .build_id_bytes = (uint16_t)module->build_id_bytes,
	    .low = module->low,
	    .high = module->high,
	    .bias = module->bias,
	};

	vmt_assert(module->path_bytes <= VMT_MODULE_PATH_MAX_BYTES);
	vmt_assert(module->build_id_bytes <= VMT_BUILD_ID_MAX_BYTES);
	vmt_assert(record.record_bytes % 8 == 0);
	if (module->build_id_bytes != 0)
		memcpy(record.build_id, module->build_id, module->build_id_bytes);
	memset(at, 0, record.record_bytes);
	memcpy(at, &record, sizeof(record));
	memcpy(at + sizeof(record), module->path, module->path_bytes);
}

uint32_t
vmt_module_table_intern(unsigned char *region, uint64_t region_bytes, uint64_t *shared_used,
			const struct vmt_module *module)
{
	struct vmt_module wanted = limit(module);
	struct vmt_module present;
	uint64_t used = vmt_atomic_load_acquire(shared_used);
	uint64_t at = VMT_MODULE_FIRST_ID;

	if (region_bytes > UINT32_MAX)
		region_bytes = UINT32_MAX;
	while (vmt_module_table_get(region, used, (uint32_t)at, &present)) {
		if (same(&present, &wanted))
			return (uint32_t)at;
		at += record_bytes(present.path_bytes);
	}
	if (at > region_bytes || record_bytes(wanted.path_bytes) > region_bytes - at)
		return 0;
	vmt_assert(at >= VMT_MODULE_FIRST_ID && at % 8 == 0);
	store(region + at, &wanted);
	/* From this store on readers walk over the record: its bytes come before the counter. A
	 * writer that dies before it leaves bytes behind the end, which the next one overwrites.
	 * One thread at a time writes (capture/modules/modules.c). */
	vmt_atomic_store_release(shared_used, at + record_bytes(wanted.path_bytes));
	return (uint32_t)at;
}

bool
vmt_module_table_get(const unsigned char *region, uint64_t used, uint32_t id,
		     struct vmt_module *module)
{
	struct vmt_module_record record;

	if (id < VMT_MODULE_FIRST_ID || id % 8 != 0 || id >= used || used - id < sizeof(record))
		return false;
	memcpy(&record, region + id, sizeof(record));
	if (record.path_bytes > VMT_MODULE_PATH_MAX_BYTES ||
	    record.build_id_bytes > VMT_BUILD_ID_MAX_BYTES ||
	    record.record_bytes != record_bytes(record.path_bytes) ||
	    record.record_bytes > used - id)
		return false;
	module->path = (const char *)region + id + sizeof(record);
	module->path_bytes = record.path_bytes;
	module->build_id = region + id + offsetof(struct vmt_module_record, build_id);
	module->build_id_bytes = record.build_id_bytes;
	module->low = record.low;
	module->high = record.high;
	module->bias = record.bias;
	return true;
}

uint32_t
vmt_module_table_next(uint32_t id, const struct vmt_module *module)
{
	return id + (uint32_t)record_bytes(module->path_bytes);
}
