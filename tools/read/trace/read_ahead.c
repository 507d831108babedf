#include "tools/read/trace/read_ahead.h"

#include "base/assert.h"
#include "tools/read/trace/payload.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#define BLOCK_RECORDS VMT_SORTED_RUN_MAX_RECORDS
#define STACK_BYTES (UINT64_C(256) << 10)

struct vmt_read_ahead {
	/* fixed */
	const struct vmt_file_reader *file;
	const struct vmt_trace_chunk *chunks;
	uint32_t *order;
	size_t count;
	pthread_t thread;
	bool is_joined; /* the asker's */

	/* the thread's */
	struct vmt_payload payload;
	struct vmt_record *scratch;

	/* both threads', under the lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t begun; /* chunks, in the order: the thread, or the asker, decodes them */
	size_t taken;
	bool is_stopped;
	struct vmt_sorted_run *spares;
	struct {
		struct vmt_read_ahead_chunk chunk;
		bool is_decoded;
	} slots[VMT_READ_AHEAD_CHUNKS];
};

bool
vmt_read_ahead_is_for(const struct vmt_chunk *chunk)
{
	return chunk->kind == VMT_CHUNK_EVENTS && chunk->events >= VMT_READ_AHEAD_LEAST_RECORDS &&
	       chunk->events <= VMT_READ_AHEAD_MOST_RECORDS &&
	       chunk->raw_bytes <= VMT_COLUMNS_ROOM(chunk->events) &&
	       chunk->payload_bytes <= VMT_COLUMNS_ROOM(chunk->events);
}

struct vmt_sorted_run *
vmt_read_ahead_take_spare(struct vmt_read_ahead *ahead)
{
	struct vmt_sorted_run *spare;

	pthread_mutex_lock(&ahead->lock);
	spare = ahead->spares;
	if (spare != NULL)
		ahead->spares = spare->next_spare;
	pthread_mutex_unlock(&ahead->lock);
	return spare;
}

void
vmt_read_ahead_give_back(struct vmt_read_ahead *ahead, struct vmt_sorted_run *block)
{
	assert(block->room == BLOCK_RECORDS);
	pthread_mutex_lock(&ahead->lock);
	block->next_spare = ahead->spares;
	ahead->spares = block;
	pthread_mutex_unlock(&ahead->lock);
}

static void
give_all_back(struct vmt_read_ahead *ahead, struct vmt_read_ahead_chunk *chunk)
{
	while (chunk->count > 0)
		vmt_read_ahead_give_back(ahead, chunk->blocks[--chunk->count]);
}

static struct vmt_sorted_run *
take_block(struct vmt_read_ahead *ahead)
{
	struct vmt_sorted_run *block = vmt_read_ahead_take_spare(ahead);

	if (block == NULL)
		block = malloc(sizeof(*block) + BLOCK_RECORDS * sizeof(struct vmt_record));
	if (block != NULL)
		block->room = BLOCK_RECORDS;
	return block;
}

/* False: no memory, or bytes that are not what the header promised. */
static bool
decode_block(struct vmt_read_ahead *ahead, const struct vmt_chunk *header, uint32_t left,
	     struct vmt_sorted_run_cursor *cursor, struct vmt_read_ahead_chunk *chunk)
{
	struct vmt_sorted_run *block = take_block(ahead);

	if (block == NULL)
		return false;
	chunk->blocks[chunk->count++] = block;
	return vmt_sorted_run_fill(block, header, cursor,
				   left < BLOCK_RECORDS ? left : BLOCK_RECORDS, ahead->scratch) &&
	       block->refused_kind == 0;
}

/* All of a chunk, or nothing. */
static void
decode(struct vmt_read_ahead *ahead, const struct vmt_trace_chunk *of,
       struct vmt_read_ahead_chunk *chunk)
{
	const struct vmt_chunk *header = &of->header;
	struct vmt_sorted_run_cursor cursor;
	const unsigned char *bytes;
	struct vmt_err err = {""};
	size_t length;
	bool is_right;

	chunk->count = 0;
	if (vmt_payload_read(&ahead->payload, ahead->file, of, &bytes, &length, &err) != 0 ||
	    vmt_sorted_run_begin(&cursor, header, bytes, length, NULL) != 0)
		return;
	is_right = true;
	for (uint32_t at = 0; at < header->events && is_right; at += BLOCK_RECORDS)
		is_right = decode_block(ahead, header, header->events - at, &cursor, chunk);
	if (!is_right || !vmt_sorted_run_is_done(&cursor))
		give_all_back(ahead, chunk);
}

/* Waits until one more chunk may be decoded, and begins it; false: none is wanted. */
static bool
begin_next(struct vmt_read_ahead *ahead, size_t *place)
{
	bool is_wanted;

	pthread_mutex_lock(&ahead->lock);
	while (!ahead->is_stopped && ahead->begun - ahead->taken == VMT_READ_AHEAD_CHUNKS)
		pthread_cond_wait(&ahead->changed, &ahead->lock);
	is_wanted = !ahead->is_stopped && ahead->begun < ahead->count;
	*place = ahead->begun;
	ahead->begun += is_wanted;
	pthread_mutex_unlock(&ahead->lock);
	return is_wanted;
}

static void *
decode_all(void *context)
{
	struct vmt_read_ahead *ahead = context;
	struct vmt_read_ahead_chunk chunk;
	size_t place;

	while (begin_next(ahead, &place)) {
		decode(ahead, &ahead->chunks[ahead->order[place]], &chunk);
		pthread_mutex_lock(&ahead->lock);
		vmt_assert(!ahead->slots[place % VMT_READ_AHEAD_CHUNKS].is_decoded);
		ahead->slots[place % VMT_READ_AHEAD_CHUNKS].chunk = chunk;
		ahead->slots[place % VMT_READ_AHEAD_CHUNKS].is_decoded = true;
		pthread_cond_signal(&ahead->changed);
		pthread_mutex_unlock(&ahead->lock);
	}
	return NULL;
}

static void
join(struct vmt_read_ahead *ahead)
{
	if (!ahead->is_joined)
		pthread_join(ahead->thread, NULL);
	ahead->is_joined = true;
}

/* What the thread has not begun is the asker's: it need not wait for a thread that has no CPU. */
static void
take_slot(struct vmt_read_ahead *ahead, struct vmt_read_ahead_chunk *taken)
{
	size_t slot = ahead->taken % VMT_READ_AHEAD_CHUNKS;

	taken->count = 0;
	if (ahead->begun == ahead->taken) {
		ahead->begun++;
		return;
	}
	while (!ahead->slots[slot].is_decoded)
		pthread_cond_wait(&ahead->changed, &ahead->lock);
	*taken = ahead->slots[slot].chunk;
	ahead->slots[slot].is_decoded = false;
}

void
vmt_read_ahead_take(struct vmt_read_ahead *ahead, size_t chunk, struct vmt_read_ahead_chunk *taken)
{
	bool is_last;

	assert(ahead->taken < ahead->count && ahead->order[ahead->taken] == chunk);
	pthread_mutex_lock(&ahead->lock);
	take_slot(ahead, taken);
	ahead->taken++;
	is_last = ahead->taken == ahead->count;
	pthread_cond_signal(&ahead->changed);
	pthread_mutex_unlock(&ahead->lock);
	if (is_last)
		join(ahead);
}

static bool
has_two_cpus(void)
{
	cpu_set_t cpus;

	/* It fails where there are more than a thousand. */
	return sched_getaffinity(0, sizeof(cpus), &cpus) != 0 || CPU_COUNT(&cpus) > 1;
}

static bool
start_thread(struct vmt_read_ahead *ahead)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int result;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&ahead->thread, &attributes, decode_all, ahead);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return result == 0;
}

static void
free_all(struct vmt_read_ahead *ahead)
{
	for (size_t i = 0; i < VMT_READ_AHEAD_CHUNKS; i++)
		if (ahead->slots[i].is_decoded)
			give_all_back(ahead, &ahead->slots[i].chunk);
	while (ahead->spares != NULL) {
		struct vmt_sorted_run *spare = ahead->spares;

		ahead->spares = spare->next_spare;
		free(spare);
	}
	pthread_cond_destroy(&ahead->changed);
	pthread_mutex_destroy(&ahead->lock);
	vmt_payload_free(&ahead->payload);
	free(ahead->scratch);
	free(ahead->order);
	free(ahead);
}

struct vmt_read_ahead *
vmt_read_ahead_start(const struct vmt_file_reader *file, const struct vmt_trace_chunk *chunks,
		     uint32_t *order, size_t count)
{
	struct vmt_read_ahead *ahead =
	    count > 0 && has_two_cpus() ? calloc(1, sizeof(*ahead)) : NULL;

	if (ahead == NULL) {
		free(order);
		return NULL;
	}
	ahead->file = file;
	ahead->chunks = chunks;
	ahead->order = order;
	ahead->count = count;
	pthread_mutex_init(&ahead->lock, NULL);
	pthread_cond_init(&ahead->changed, NULL);
	ahead->scratch = malloc(BLOCK_RECORDS * sizeof(*ahead->scratch));
	if (ahead->scratch != NULL && start_thread(ahead))
		return ahead;
	free_all(ahead);
	return NULL;
}

void
vmt_read_ahead_close(struct vmt_read_ahead *ahead)
{
	if (ahead == NULL)
		return;
	pthread_mutex_lock(&ahead->lock);
	ahead->is_stopped = true;
	pthread_cond_signal(&ahead->changed);
	pthread_mutex_unlock(&ahead->lock);
	join(ahead);
	free_all(ahead);
}
