#include "format/stack_table.h"

#include "base/assert.h"

#define COUNT_MASK UINT64_C(0xffff)
#define HASH_HIGH_MASK (~COUNT_MASK)

/* Multiply and fold, as wyhash does: every bit of a frame reaches every bit of the result. */
static inline uint64_t
mix(uint64_t state, uint64_t word)
{
	unsigned __int128 product =
	    (unsigned __int128)(state ^ word) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint64_t)product ^ (uint64_t)(product >> 64) ^ UINT64_C(0xa0761d6478bd642f);
}

static inline uint64_t
hash_frames(const uint64_t *frames, uint32_t count)
{
	uint64_t hash = count;

	for (uint32_t i = 0; i < count; i++)
		hash = mix(hash, frames[i]);
	return mix(hash, hash >> 32);
}

uint64_t
vmt_stack_table_cut(uint64_t all, uint64_t outer, uint32_t count)
{
	uint64_t power = 1;

	for (uint64_t square = VMT_STACK_KEY_FACTOR; count != 0; count >>= 1, square *= square)
		if (count & 1)
			power *= square;
	return all - outer * power;
}

static inline bool
holds(const struct vmt_stack_table *table, uint32_t id, const uint64_t *frames, uint32_t count)
{
	const uint64_t *record = table->words + id;

	if (id == 0 || id >= table->words_count || count >= table->words_count - id ||
	    (record[0] & COUNT_MASK) != count)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (record[1 + i] != frames[i])
			return false;
	return true;
}

static bool
has_memory(const struct vmt_stack_table *table, uint64_t words)
{
	return !table->backed_words || words <= vmt_atomic_load_acquire(table->backed_words) ||
	       table->back(words);
}

/* Takes room and writes the record; 0 when full. A counter past the end is left there: the words
 * below it that nobody wrote are what a reader sees as zero. */
static uint32_t
append_slow(const struct vmt_stack_table *table, const uint64_t *frames, uint32_t count)
{
	uint64_t at = vmt_atomic_load_relaxed(table->words_used);

	if (at >= table->words_count)
		return 0;
	/* The words from `at` on are this thread's alone. Nobody reads them before an entry of the
	 * index, or an event, names them: a thread that dies here leaves words that no one names.
	 */
	at = vmt_atomic_add_relaxed(table->words_used, (uint64_t)count + 1);
	if (at == 0) { /* word 0 is never used: this record is wasted */
		at = vmt_atomic_add_relaxed(table->words_used, (uint64_t)count + 1);
	}
	if (at >= table->words_count || count >= table->words_count - at || at > UINT32_MAX)
		return 0;
	vmt_assert(at > 0 && at + count < table->words_count);
	if (!has_memory(table, at + count + 1))
		return 0;
	for (uint32_t i = 0; i < count; i++)
		table->words[at + 1 + i] = frames[i];
	table->words[at] = (hash_frames(frames, count) & HASH_HIGH_MASK) | count;
	return (uint32_t)at;
}

/* Where to look after `seen` lines. */
static inline uint64_t *
line_of(const struct vmt_stack_table *table, uint64_t hash, uint32_t seen)
{
	uint64_t end = table->index_mask + 1;
	uint64_t first = end < 32 * VMT_STACK_LINE ? VMT_STACK_LINE : end / 32;
	uint64_t begin = end / 4;
	uint64_t lines, line;

	if (seen == 0) {
		begin = 0;
		end = first;
	} else if (seen == 1) {
		end = begin;
		begin = first;
	}
	lines = (end - begin) / VMT_STACK_LINE;
	line = (hash >> 32) * lines >> 32;
	line += seen > 2 ? seen - 2 : 0;
	vmt_assert(lines != 0 && line < 2 * lines);
	vmt_assert(begin + lines * VMT_STACK_LINE <= table->index_mask + 1);
	return table->index + begin + (line < lines ? line : line - lines) * VMT_STACK_LINE;
}

/* The line comes from the hash's upper half, the tag is the lower one. */
uint32_t
vmt_stack_table_intern_keyed(const struct vmt_stack_table *table, const uint64_t *frames,
			     uint32_t count, uint64_t key)
{
	uint64_t hash = mix(key, count);
	uint64_t tag = hash << 32;
	uint32_t mine = 0;

	vmt_assert(count >= 1 && count <= VMT_STACK_MAX_FRAMES);
	vmt_assert((table->index_mask & (table->index_mask + 1)) == 0);
	vmt_assert((tag & UINT32_MAX) == 0);
	for (uint32_t i = 0; i < VMT_STACK_LINES * VMT_STACK_LINE; i++) {
		uint64_t *line = line_of(table, hash, i / VMT_STACK_LINE);
		uint64_t *entry = &line[(hash + i) % VMT_STACK_LINE];
		/* The acquire orders the record's words after the entry that names it. */
		uint64_t found = vmt_atomic_load_acquire(entry);

		if (found == 0) {
			if (mine == 0)
				mine = append_slow(table, frames, count);
			if (mine == 0)
				break;
			/* From this swap on every thread that meets the same stack uses this
			 * record; the release half orders its words before the entry. Who loses
			 * looks at the winner's entry: it may be the same stack, and then this
			 * record is named by nobody. */
			if (vmt_atomic_cas(entry, &found, tag | mine))
				return mine;
		}
		if ((found & ~(uint64_t)UINT32_MAX) == tag &&
		    holds(table, (uint32_t)found, frames, count))
			return (uint32_t)found;
	}
	vmt_atomic_add_relaxed(table->dropped, 1);
	return 0;
}

uint32_t
vmt_stack_table_intern(const struct vmt_stack_table *table, const uint64_t *frames, uint32_t count)
{
	uint32_t limited = count < VMT_STACK_MAX_FRAMES ? count : VMT_STACK_MAX_FRAMES;
	uint64_t key = 0;

	if (limited == 0)
		return 0;
	for (uint32_t i = limited; i-- > 0;)
		key = vmt_stack_table_add_frame(key, frames[i]);
	return vmt_stack_table_intern_keyed(table, frames, limited, key);
}

const uint64_t *
vmt_stack_table_get(const uint64_t *words, uint64_t words_count, uint32_t id, uint32_t *count)
{
	uint32_t frames;

	*count = 0;
	if (id == 0 || id >= words_count)
		return NULL;
	frames = (uint32_t)(words[id] & COUNT_MASK);
	if (frames == 0 || frames > VMT_STACK_MAX_FRAMES || frames >= words_count - id)
		return NULL;
	if ((hash_frames(words + id + 1, frames) & HASH_HIGH_MASK) != (words[id] & HASH_HIGH_MASK))
		return NULL;
	*count = frames;
	return words + id + 1;
}
