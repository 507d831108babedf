#include "format/stack_table.h"

#include "base/assert.h"

#define END (UINT64_C(1) << 63)
#define COUNT_SHIFT 56
#define CHECK_SHIFT 32
#define CHECK_BITS 24
#define UNSHARED_COUNT_MASK UINT64_C(0xffff)

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

/* The end word of a record of these frames that goes on at `outer`. */
static uint64_t
end_word(const uint64_t *frames, uint32_t count, uint32_t outer)
{
	uint64_t check = mix(hash_frames(frames, count), outer) >> (64 - CHECK_BITS);

	vmt_assert(count >= 1 && count <= VMT_STACK_MAX_FRAMES);
	return END | (uint64_t)(count - 1) << COUNT_SHIFT | check << CHECK_SHIFT | outer;
}

/* Whether the stack of the id has these frames. Also where the table is damaged, no word outside of
 * it is read, and each one at most once for a frame. */
static inline bool
holds(const struct vmt_stack_table *table, uint32_t id, const uint64_t *frames, uint32_t count,
      uint32_t *known)
{
	uint64_t at = id;
	uint32_t i = 0;

	for (; i < count && at < table->words_count; i++, at++) {
		uint64_t word = table->words[at];

		if (word & END) {
			at = (uint32_t)word;
			if (at == 0 || at >= table->words_count)
				break;
			word = table->words[at];
		}
		if (known && known[i] == at)
			return true;
		if (word != frames[i])
			break;
		if (known)
			known[i] = (uint32_t)at;
	}
	if (i == count && at < table->words_count && table->words[at] & END &&
	    (uint32_t)table->words[at] == 0)
		return true;
	for (; known && i != 0; i--)
		known[i - 1] = 0;
	return false;
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
append(const struct vmt_stack_table *table, const uint64_t *frames, uint32_t count, uint32_t outer)
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
	vmt_assert(at > outer && at + count < table->words_count);
	if (!has_memory(table, at + count + 1))
		return 0;
	for (uint32_t i = 0; i < count; i++)
		table->words[at + i] = frames[i];
	table->words[at + count] = end_word(frames, count, outer);
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

/* What an entry of the index is looked for by. */
struct wanted {
	const uint64_t *frames;
	uint32_t count;
	uint32_t *known; /* as for vmt_stack_table_intern_keyed */
	uint64_t hash;
};

static inline struct wanted
want(const uint64_t *frames, uint32_t count, uint64_t key, uint32_t *known)
{
	return (struct wanted){frames, count, known, mix(key, count)};
}

/* The id of what is wanted; 0: it is not in the first `lines`. Then *room is the first free entry
 * on its way, or NULL. The line comes from the hash's upper half, the tag is the lower one. */
static inline uint32_t
find(const struct vmt_stack_table *table, const struct wanted *wanted, uint32_t lines,
     uint64_t **room)
{
	uint64_t hash = wanted->hash;
	uint64_t tag = hash << 32;

	vmt_assert((table->index_mask & (table->index_mask + 1)) == 0);
	*room = NULL;
	for (uint32_t i = 0; i < lines * VMT_STACK_LINE; i++) {
		uint64_t *line = line_of(table, hash, i / VMT_STACK_LINE);
		uint64_t *entry = &line[(hash + i) % VMT_STACK_LINE];
		/* The acquire orders the record's words after the entry that names it. */
		uint64_t found = vmt_atomic_load_acquire(entry);

		if (found == 0) {
			*room = entry;
			return 0;
		}
		if ((found & ~(uint64_t)UINT32_MAX) == tag && (uint32_t)found != 0 &&
		    holds(table, (uint32_t)found, wanted->frames, wanted->count, wanted->known))
			return (uint32_t)found;
	}
	return 0;
}

/* Puts `mine` into the index. The id that stands there by then: another thread's, where it was
 * faster with the same stack. 0: there is no room. */
static uint32_t
enter(const struct vmt_stack_table *table, const struct wanted *wanted, uint32_t lines,
      uint32_t mine)
{
	uint64_t *room;
	uint32_t found;

	while ((found = find(table, wanted, lines, &room)) == 0 && room) {
		uint64_t empty = 0;

		/* From this swap on every thread that meets the same stack uses this record; the
		 * release half orders its words before the entry. */
		if (vmt_atomic_cas(room, &empty, wanted->hash << 32 | mine))
			return mine;
	}
	return found;
}

/* The frames from the innermost one up to `first` are new, the others have the id `outer`. */
struct shared {
	uint32_t first;
	uint32_t outer;
};

/* The first word of the record that has a frame at `at`, which is complete. Also where the table is
 * damaged it is one of the table's, and not behind `at`. */
static uint64_t
begin_of_record(const struct vmt_stack_table *table, uint64_t at)
{
	uint64_t end = at;
	uint64_t count;

	while (end < table->words_count && end - at < VMT_STACK_MAX_FRAMES &&
	       !(table->words[end] & END))
		end++;
	if (end >= table->words_count || !(table->words[end] & END))
		return at;
	count = (table->words[end] >> COUNT_SHIFT & (VMT_STACK_MAX_FRAMES - 1)) + 1;
	return count < end && end - count < at ? end - count : at;
}

/* The record that has the outer frames may have more of the stack, between two frames that the
 * index has. Words before the record's may be another thread's, who writes them now. */
static void
share_inwards(const struct vmt_stack_table *table, const struct wanted *wanted,
	      struct shared *shared)
{
	uint64_t begin = begin_of_record(table, shared->outer);

	while (shared->first != 0 && shared->outer > begin &&
	       table->words[shared->outer - 1] == wanted->frames[shared->first - 1]) {
		shared->first--;
		shared->outer--;
		if (wanted->known)
			wanted->known[shared->first] = shared->outer;
	}
	vmt_assert(shared->outer != 0);
}

/* How much of a stack the table has. */
static struct shared
find_shared(const struct vmt_stack_table *table, const struct wanted *wanted)
{
	struct shared shared = {.first = wanted->count};
	uint64_t *room;
	uint64_t key = 0;

	for (uint32_t i = wanted->count; i-- > 0;) {
		uint32_t outer = wanted->known ? wanted->known[i] : 0;

		key = vmt_stack_table_add_frame(key, wanted->frames[i]);
		if (outer == 0 && (wanted->count - i) % VMT_STACK_STEP == 0) {
			struct wanted part = want(wanted->frames + i, wanted->count - i, key, NULL);

			outer = find(table, &part, VMT_STACK_PART_LINES, &room);
			if (outer == 0)
				break;
		}
		if (outer != 0)
			shared = (struct shared){i, outer};
	}
	if (shared.outer != 0)
		share_inwards(table, wanted, &shared);
	return shared;
}

/* Puts those parts of a new record into the index at which later stacks will look. What finds no
 * room there is found by nobody: the stacks that could have shared it have words of their own. */
static void
enter_parts(const struct vmt_stack_table *table, const struct wanted *wanted, uint32_t new_frames,
	    uint32_t id)
{
	uint64_t key = 0;

	for (uint32_t i = wanted->count; i-- > 1;) {
		key = vmt_stack_table_add_frame(key, wanted->frames[i]);
		if (i < new_frames && (wanted->count - i) % VMT_STACK_STEP == 0) {
			struct wanted part = want(wanted->frames + i, wanted->count - i, key, NULL);

			(void)enter(table, &part, VMT_STACK_PART_LINES, id + i);
		}
	}
}

/* How many frames of a stack can be written down. */
static uint32_t
count_writable(const uint64_t *frames, uint32_t count)
{
	uint32_t writable = 0;

	while (writable < count && !(frames[writable] & END))
		writable++;
	return writable;
}

/* Writes down what the table does not have of a stack. Its id; 0: there is no room. */
static uint32_t
write_down(const struct vmt_stack_table *table, const struct wanted *wanted)
{
	struct shared shared = find_shared(table, wanted);
	uint32_t mine = shared.first != 0
			    ? append(table, wanted->frames, shared.first, shared.outer)
			    : shared.outer;
	uint32_t id = mine != 0 ? enter(table, wanted, VMT_STACK_LINES, mine) : 0;

	if (id != mine || id == 0)
		return id;
	enter_parts(table, wanted, shared.first, id);
	for (uint32_t i = 0; wanted->known && i < shared.first; i++)
		wanted->known[i] = id + i;
	return id;
}

/* Of a stack that is not in the index. Where that has no room for it, it takes no words: it would
 * take them at each call. */
static uint32_t __attribute__((noinline))
intern_slow(const struct vmt_stack_table *table, const struct wanted *wanted, bool has_room)
{
	uint32_t writable = count_writable(wanted->frames, wanted->count);
	uint32_t id;

	if (writable < wanted->count)
		return vmt_stack_table_intern(table, wanted->frames, writable);
	id = has_room ? write_down(table, wanted) : 0;
	if (id == 0)
		vmt_atomic_add_relaxed(table->dropped, 1);
	return id;
}

uint32_t
vmt_stack_table_intern_keyed(const struct vmt_stack_table *table, const uint64_t *frames,
			     uint32_t count, uint64_t key, uint32_t *known)
{
	struct wanted wanted = want(frames, count, key, known);
	uint64_t *room;
	uint32_t id = find(table, &wanted, VMT_STACK_LINES, &room);

	vmt_assert(count >= 1 && count <= VMT_STACK_MAX_FRAMES);
	return __builtin_expect(id != 0, 1) ? id : intern_slow(table, &wanted, room != NULL);
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
	return vmt_stack_table_intern_keyed(table, frames, limited, key, NULL);
}

/* Whether a record ends at `end` that was written whole. */
static bool
is_record(const uint64_t *words, uint64_t end)
{
	uint32_t count = (uint32_t)(words[end] >> COUNT_SHIFT & (VMT_STACK_MAX_FRAMES - 1)) + 1;

	return count < end && (uint32_t)words[end] < end - count &&
	       words[end] == end_word(words + end - count, count, (uint32_t)words[end]);
}

/* The same, computed once for each record. */
static bool
is_record_known(const uint64_t *words, uint64_t end, uint64_t *whole)
{
	uint64_t bit = UINT64_C(1) << end % 64;

	if (!whole)
		return is_record(words, end);
	if (!(whole[end / 64] & bit) && is_record(words, end))
		whole[end / 64] |= bit;
	return (whole[end / 64] & bit) != 0;
}

/* Where the record ends that has a frame at `at`; 0: it is not one that was written whole. */
static uint64_t
end_of_record(const uint64_t *words, uint64_t words_count, uint64_t at, uint64_t *whole)
{
	uint64_t end = at;

	while (end < words_count && end - at <= VMT_STACK_MAX_FRAMES && !(words[end] & END))
		end++;
	if (end == at || end >= words_count || !(words[end] & END) ||
	    end - at > (words[end] >> COUNT_SHIFT & (VMT_STACK_MAX_FRAMES - 1)) + 1 ||
	    !is_record_known(words, end, whole))
		return 0;
	return end;
}

/* Each record goes on at an earlier one, so this comes to an end. Whatever the words are, it looks
 * at two words for each frame, and at those of at most one record that is not sound. */
uint32_t
vmt_stack_table_read_many(const uint64_t *words, uint64_t words_count, uint32_t id, uint64_t *whole,
			  uint64_t frames[VMT_STACK_MAX_FRAMES])
{
	uint32_t count = 0;

	while (id != 0) {
		uint64_t end = end_of_record(words, words_count, id, whole);

		if (end == 0 || end - id > VMT_STACK_MAX_FRAMES - count)
			return 0;
		for (uint64_t at = id; at < end; at++)
			frames[count++] = words[at];
		id = (uint32_t)words[end];
	}
	return count;
}

uint32_t
vmt_stack_table_read(const uint64_t *words, uint64_t words_count, uint32_t id,
		     uint64_t frames[VMT_STACK_MAX_FRAMES])
{
	return vmt_stack_table_read_many(words, words_count, id, NULL, frames);
}

const uint64_t *
vmt_stack_table_get_unshared(const uint64_t *words, uint64_t words_count, uint32_t id,
			     uint32_t *count)
{
	uint32_t frames;

	*count = 0;
	if (id == 0 || id >= words_count)
		return NULL;
	frames = (uint32_t)(words[id] & UNSHARED_COUNT_MASK);
	if (frames == 0 || frames > VMT_STACK_MAX_FRAMES || frames >= words_count - id)
		return NULL;
	if (((hash_frames(words + id + 1, frames) ^ words[id]) & ~UNSHARED_COUNT_MASK) != 0)
		return NULL;
	*count = frames;
	return words + id + 1;
}
