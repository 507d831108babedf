#include "collect/go_profile_reader.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

#define TRIES 3
#define AGAIN 4u /* a bucket that moves is read so many times more */

/* Buckets lie one behind the other, newer ones at higher addresses: what is read for one has many
 * of those that the list names next. */
#define WINDOW_BYTES UINT64_C(65536)
#define WINDOW_LEAST_BYTES UINT64_C(2048)
#define WORDS_MOST (UINT64_C(4) << 20)
#define PAUSE_EVERY 1024u

#define TYPE_MEMORY UINT64_C(1)
#define FRAMES_MOST UINT64_C(1024) /* of a bucket; runtime.maxProfStackDepth */

/* runtime.bucket; frames words of the stack follow, then a struct record. */
struct bucket {
	uint64_t next;
	uint64_t all_next;
	uint64_t type;
	uint64_t hash;
	uint64_t object_bytes;
	uint64_t frames;
};

/* runtime.memRecordCycle */
struct counts {
	uint64_t allocated;
	uint64_t freed;
	uint64_t allocated_bytes;
	uint64_t freed_bytes;
};

#define CYCLES 3u

/* runtime.memRecord. active: what has been published. future: what is counted for each of three
 * collections; that of the last one may still have to be added to active. */
struct record {
	struct counts active;
	struct counts future[CYCLES];
};

/* A bucket that was found. */
struct found {
	uint64_t record; /* its address */
	uint64_t object_bytes;
	uint64_t first_word;
	uint64_t live; /* objects */
	uint32_t frames;
	bool is_unread;
};

void
vmt_go_profile_free(struct vmt_go_profile *profile)
{
	vmt_buffer_free(&profile->buckets);
	vmt_buffer_free(&profile->records);
	vmt_buffer_free(&profile->words);
	vmt_buffer_free(&profile->window);
}

static struct found *
found_of(const struct vmt_go_profile *profile)
{
	return (struct found *)(void *)profile->buckets.bytes;
}

static struct record *
records_of(const struct vmt_go_profile *profile)
{
	return (struct record *)(void *)profile->records.bytes;
}

/* Fills the window with [address, address + bytes) and what lies before it, as far as it is mapped.
 */
static int
move_window(struct vmt_go_profile *profile, const struct vmt_go_view *view, uint64_t address,
	    uint64_t bytes)
{
	uint64_t before = 4 * (WINDOW_BYTES - bytes);
	int result;

	do {
		before = before < WINDOW_LEAST_BYTES ? 0 : before / 4 & ~UINT64_C(7);
		profile->window_address = address - before;
		profile->window_bytes = before + bytes;
		result = vmt_remote_read(view->pid, profile->window_address, profile->window.bytes,
					 profile->window_bytes);
	} while (result == -EFAULT && before != 0);
	if (result < 0)
		profile->window_bytes = 0;
	return result;
}

/* The process's bytes, until the next call; NULL, with the error: they can't be read. */
static const unsigned char *
look_at(struct vmt_go_profile *profile, const struct vmt_go_view *view, uint64_t address,
	uint64_t bytes, int *error)
{
	uint64_t into = address - profile->window_address;

	vmt_assert(bytes <= WINDOW_BYTES / 2);
	*error = address % 8 != 0 || address < WINDOW_BYTES || address > UINT64_MAX - WINDOW_BYTES
		     ? -EINVAL
		     : 0;
	if (*error == 0 &&
	    (into >= profile->window_bytes || bytes > profile->window_bytes - into)) {
		*error = move_window(profile, view, address, bytes);
		into = address - profile->window_address;
	}
	return *error == 0 ? profile->window.bytes + into : NULL;
}

/* Keeps a bucket, and what its record says now. */
static int
keep_bucket(struct vmt_go_profile *profile, const struct bucket *bucket, uint64_t address,
	    const unsigned char *behind)
{
	uint64_t frames =
	    bucket->frames < VMT_GO_PROFILE_FRAMES ? bucket->frames : VMT_GO_PROFILE_FRAMES;
	struct found found = {.record = address + sizeof(*bucket) + bucket->frames * 8,
			      .object_bytes = bucket->object_bytes,
			      .first_word = profile->words_count,
			      .frames = (uint32_t)frames};

	if (!vmt_buffer_reserve(&profile->words, (profile->words_count + frames + 1) * 8) ||
	    !vmt_buffer_reserve(&profile->buckets, (profile->count + 1) * sizeof(found)) ||
	    !vmt_buffer_reserve(&profile->records, (profile->count + 1) * sizeof(struct record)))
		return -ENOMEM;
	memcpy(profile->words.bytes + profile->words_count * 8, behind, frames * 8);
	memcpy(&records_of(profile)[profile->count], behind + bucket->frames * 8,
	       sizeof(struct record));
	found_of(profile)[profile->count++] = found;
	profile->words_count += frames;
	return 0;
}

/* One bucket; the address of the next. */
static int
visit_bucket(struct vmt_go_profile *profile, const struct vmt_go_view *view, uint64_t *address)
{
	struct bucket bucket;
	const unsigned char *bytes;
	int error;

	bytes = look_at(profile, view, *address, sizeof(bucket), &error);
	if (!bytes)
		return error;
	memcpy(&bucket, bytes, sizeof(bucket));
	if (bucket.type != TYPE_MEMORY || bucket.frames > FRAMES_MOST)
		return -EINVAL;
	bytes = look_at(profile, view, *address + sizeof(bucket),
			bucket.frames * 8 + sizeof(struct record), &error);
	if (!bytes)
		return error;
	error = keep_bucket(profile, &bucket, *address, bytes);
	*address = bucket.all_next;
	return error;
}

/* The whole list. A circle is found by a mark that stays behind, at ever longer distances (R. P.
 * Brent, "An improved Monte Carlo factorization algorithm", section 3). */
static int
walk(struct vmt_go_profile *profile, const struct vmt_go_view *view, uint64_t most)
{
	uint64_t address = 0, mark = 0, steps = 0, distance = 1;
	int result = vmt_remote_read(view->pid, view->profile, &address, sizeof(address));

	profile->count = profile->words_count = profile->window_bytes = 0;
	while (result == 0 && address != 0) {
		if (profile->count >= most || profile->words_count >= WORDS_MOST)
			return -E2BIG;
		result = visit_bucket(profile, view, &address);
		if (result == 0 && address != 0 && address == mark)
			return -EINVAL;
		if (++steps == distance) {
			mark = address;
			distance *= 2;
			steps = 0;
		}
		if (view->pause && profile->count % PAUSE_EVERY == 0)
			view->pause(view->context);
	}
	return result;
}

static void
add(struct counts *sum, const struct counts *more)
{
	sum->allocated += more->allocated;
	sum->freed += more->freed;
	sum->allocated_bytes += more->allocated_bytes;
	sum->freed_bytes += more->freed_bytes;
}

/* What a record says as of the last collection; `all`: of what was counted at any time. */
static struct counts
sum_of(const struct record *record, uint32_t cycle, bool all)
{
	struct counts sum = record->active;

	for (uint32_t i = 0; i < CYCLES; i++)
		if (all || i == cycle % CYCLES)
			add(&sum, &record->future[i]);
	return sum;
}

/* All objects of a bucket have its size: counts that contradict that were half written. */
static bool
has_sense(const struct counts *counts, uint64_t object_bytes)
{
	const struct vmt_go_profile_row row = {counts->allocated, object_bytes, 0};

	if (counts->allocated == 0)
		return counts->freed == 0 && counts->allocated_bytes == 0 &&
		       counts->freed_bytes == 0;
	return vmt_go_profile_is_row(&row) && counts->freed <= counts->allocated &&
	       counts->allocated_bytes == counts->allocated * object_bytes &&
	       counts->freed_bytes == counts->freed * object_bytes;
}

static bool
is_same(const struct counts *a, const struct counts *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

struct second {
	struct vmt_go_profile *profile;
	const struct vmt_go_view *view;
	uint32_t cycle;
};

/* Until it is the same twice. */
static bool
read_again(const struct second *second, uint64_t address, struct record *record)
{
	struct record other;

	for (unsigned i = 0; i < AGAIN; i++) {
		other = *record;
		if (vmt_remote_read(second->view->pid, address, record, sizeof(*record)) < 0)
			return false;
		if (is_same(&other.active, &record->active) &&
		    is_same(&other.future[second->cycle % CYCLES],
			    &record->future[second->cycle % CYCLES]))
			return true;
	}
	return false;
}

/* The second reading of each record. */
static int
confirm(struct vmt_go_profile *profile, const struct vmt_go_view *view, uint32_t cycle)
{
	const struct second second = {profile, view, cycle};

	profile->unread = 0;
	for (uint64_t i = 0; i < profile->count; i++) {
		struct found *found = &found_of(profile)[i];
		struct record *record = &records_of(profile)[i];
		struct counts counts;
		int error;
		const unsigned char *bytes =
		    look_at(profile, view, found->record, sizeof(*record), &error);
		struct record now;

		if (!bytes)
			return error;
		memcpy(&now, bytes, sizeof(now));
		found->is_unread =
		    (!is_same(&now.active, &record->active) ||
		     !is_same(&now.future[cycle % CYCLES], &record->future[cycle % CYCLES])) &&
		    !read_again(&second, found->record, &now);
		*record = now;
		counts = sum_of(record, cycle, false);
		found->is_unread |= !has_sense(&counts, found->object_bytes);
		profile->unread += found->is_unread;
		if (view->pause && i % PAUSE_EVERY == 0)
			view->pause(view->context);
	}
	return 0;
}

/* As runtime.MemProfile has it: before the first collection all that was counted is live. */
static void
tell_live(struct vmt_go_profile *profile, uint32_t cycle)
{
	profile->uncollected = true;
	for (uint64_t i = 0; i < profile->count; i++)
		if (sum_of(&records_of(profile)[i], cycle, false).allocated != 0)
			profile->uncollected = false;
	profile->rows = profile->rows_bytes = 0;
	for (uint64_t i = 0; i < profile->count; i++) {
		struct found *found = &found_of(profile)[i];
		struct counts counts = sum_of(&records_of(profile)[i], cycle, profile->uncollected);

		if (profile->uncollected && !found->is_unread &&
		    !has_sense(&counts, found->object_bytes)) {
			found->is_unread = true;
			profile->unread++;
		}
		found->live = found->is_unread ? 0 : counts.allocated - counts.freed;
		if (found->live == 0)
			continue;
		profile->rows++;
		profile->rows_bytes += VMT_GO_PROFILE_ROW_MAX_BYTES(found->frames);
	}
}

/* The number of the runtime's profiling cycle: the lowest bit says something else. */
static int
read_cycle(const struct vmt_go_view *view, uint32_t *cycle)
{
	int result = vmt_remote_read(view->pid, view->profile_cycle, cycle, sizeof(*cycle));

	*cycle >>= 1;
	return result;
}

static int
read_once(struct vmt_go_profile *profile, const struct vmt_go_view *view, uint64_t most)
{
	uint32_t cycle = 0, after = 0;
	int result = read_cycle(view, &cycle);

	if (result == 0)
		result = walk(profile, view, most);
	profile->window_bytes = 0;
	if (result == 0)
		result = confirm(profile, view, cycle);
	if (result == 0)
		result = read_cycle(view, &after);
	if (result == 0 && after != cycle)
		result = -EAGAIN;
	if (result == 0)
		tell_live(profile, cycle);
	return result;
}

int
vmt_go_profile_read(struct vmt_go_profile *profile, const struct vmt_go_view *view, uint64_t most)
{
	int result = -EAGAIN;

	if (view->profile == 0 || view->profile_cycle == 0 || view->profile_rate == 0)
		return -ENODATA;
	if (!vmt_buffer_reserve(&profile->window, WINDOW_BYTES))
		return -ENOMEM;
	if (most > VMT_GO_PROFILE_MOST)
		most = VMT_GO_PROFILE_MOST;
	for (int i = 0; i < TRIES && result == -EAGAIN; i++)
		result = read_once(profile, view, most);
	if (result == 0)
		result = vmt_remote_read(view->pid, view->profile_rate, &profile->rate_bytes,
					 sizeof(profile->rate_bytes));
	return result == -EFAULT ? -EINVAL : result;
}

unsigned char *
vmt_go_profile_write(const struct vmt_go_profile *profile, unsigned char *at)
{
	const uint64_t *words = (const void *)profile->words.bytes;
	struct vmt_go_profile_coder coder;

	vmt_go_profile_begin(&coder);
	for (uint64_t i = 0; i < profile->count; i++) {
		const struct found *found = &found_of(profile)[i];
		const struct vmt_go_profile_row row = {found->live, found->object_bytes,
						       found->frames};

		if (found->live != 0)
			at = vmt_go_profile_put(&coder, at, &row, words + found->first_word);
	}
	return at;
}
