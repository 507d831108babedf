/*
 * fuzz_gopclntab.c: hostile tables of Go functions.
 *
 * The first 64 bytes of an input are the trees of inlined calls, the rest is the table.
 */
#include "unwind/gopclntab.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINES_BYTES 64u
#define FIRST UINT64_C(0x401000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came back lies in the table, and ends there. */
static size_t
weigh(const struct vmt_gopclntab_frame *frames, size_t count)
{
	size_t weight = 0;

	for (size_t i = 0; i < count; i++) {
		weight += frames[i].function ? strlen(frames[i].function) : 0;
		weight += frames[i].file ? strlen(frames[i].file) : 0;
	}
	return weight;
}

static void
ask(const struct vmt_gopclntab *table)
{
	struct vmt_gopclntab_frame frames[16];
	struct vmt_gopclntab_function function;
	volatile size_t weight = 0;
	uint64_t cursor = 0;

	for (uint64_t address = FIRST - 1; address < FIRST + 0x60; address++)
		weight += weigh(frames, vmt_gopclntab_find(table, address, frames, 16));
	weight += weigh(frames, vmt_gopclntab_find(table, UINT64_MAX, frames, 16));
	if (vmt_gopclntab_covering(table, FIRST, &function) && function.name)
		weight += strlen(function.name);
	while (vmt_gopclntab_named(table, "main.leaf", &cursor, &function))
		weight++;
	(void)weight;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmt_gopclntab table;
	uint8_t *bytes;
	uint8_t *inlines;

	if (size < INLINES_BYTES)
		return 0;
	/* Memory of exactly these sizes: what is read past them is seen. */
	bytes = malloc(size - INLINES_BYTES + 1);
	inlines = malloc(INLINES_BYTES);
	if (!bytes || !inlines)
		abort();
	memcpy(inlines, data, INLINES_BYTES);
	memcpy(bytes, data + INLINES_BYTES, size - INLINES_BYTES);
	if (vmt_gopclntab_open(&table, bytes, size - INLINES_BYTES, FIRST)) {
		ask(&table);
		table.inlines = (struct vmt_gopclntab_part){inlines, INLINES_BYTES};
		ask(&table);
	}
	free(inlines);
	free(bytes);
	return 0;
}
