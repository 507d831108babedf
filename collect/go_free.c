#include "collect/go_free.h"

#include "collect/address_sort.h"

#include <errno.h>
#include <string.h>

/* runtime/mpagealloc.go and mpagealloc_64bit.go, the same from Go 1.14 to 1.26. */
#define CHUNK_PAGES 512u
#define CHUNK_BYTES (CHUNK_PAGES * VMT_GO_PAGE_BYTES)
#define CHUNKS_IN_ARRAY 8192u
#define ADDRESS_OFFSET (UINT64_C(1) << 47) /* less arenaBaseOffset, of amd64 */
#define ARRAYS 8192u
#define CHUNKS_MOST 262144u /* 1 TiB of heap */
#define CHUNKS_AT_ONCE 256u
#define PROCESSORS_MOST 4096u

/* struct pallocData: which pages are in use, and which of the others were given back. */
struct chunk_bits {
	uint64_t used[CHUNK_PAGES / 64];
	uint64_t released[CHUNK_PAGES / 64];
};

/* struct pageCache: pages that a processor has taken out of the bitmaps, to hand them out. */
struct page_cache {
	uint64_t base;
	uint64_t free;
	uint64_t released;
};

static struct vmt_go_run *
runs_of(const struct vmt_go_runs *list)
{
	return (struct vmt_go_run *)(void *)list->rows.bytes;
}

/* Runs come by rising address, but for those of caches. */
static int
add_run(struct vmt_go_runs *list, uint64_t start, uint64_t bytes)
{
	struct vmt_go_run *last;

	if (list->count > 0) {
		last = &runs_of(list)[list->count - 1];
		if (last->start + last->bytes == start) {
			last->bytes += bytes;
			return 0;
		}
	}
	if (list->count == VMT_GO_HEAP_MOST)
		return -EFBIG;
	if (!vmt_buffer_reserve(&list->rows, (list->count + 1) * sizeof(*last)))
		return -ENOMEM;
	runs_of(list)[list->count++] = (struct vmt_go_run){start, bytes};
	return 0;
}

/* 64 pages from `start` on, one a bit. */
static int
add_bits(struct vmt_go_runs *list, uint64_t start, uint64_t bits)
{
	int result = 0;

	while (bits != 0 && result == 0) {
		unsigned first = (unsigned)__builtin_ctzll(bits);
		uint64_t rest = ~(bits >> first);
		unsigned length = rest != 0 ? (unsigned)__builtin_ctzll(rest) : 64;

		if (length > 64 - first)
			length = 64 - first;
		result =
		    add_run(list, start + first * VMT_GO_PAGE_BYTES, length * VMT_GO_PAGE_BYTES);
		bits = first + length >= 64 ? 0 : bits & (~UINT64_C(0) << (first + length));
	}
	return result;
}

static int
add_pages(struct vmt_go_spans *spans, uint64_t start, uint64_t idle, uint64_t released)
{
	int result = add_bits(&spans->free, start, idle & ~released);

	return result == 0 ? add_bits(&spans->released, start, idle & released) : result;
}

/* Go 1.26 begins its first arena at random: the pages before are marked as used and as given back,
 * and it counts them as given back. */
static int
add_chunk(struct vmt_go_spans *spans, uint64_t start, const struct chunk_bits *chunk)
{
	int result = 0;

	for (unsigned i = 0; i < CHUNK_PAGES / 64 && result == 0; i++)
		result = add_pages(spans, start + i * 64 * VMT_GO_PAGE_BYTES,
				   ~chunk->used[i] | chunk->released[i], chunk->released[i]);
	return result;
}

/* Chunks [first, first + count), all in one array. */
static int
read_chunks(struct vmt_go_spans *spans, const struct vmt_go_view *view, uint64_t first,
	    uint64_t count)
{
	struct chunk_bits bits[CHUNKS_AT_ONCE];
	uint64_t array = 0;
	int result = vmt_remote_read(view->pid,
				     view->heap + view->offsets->heap_chunks +
					 first / CHUNKS_IN_ARRAY * sizeof(array),
				     &array, sizeof(array));

	if (result == 0)
		result = vmt_remote_read(view->pid, array + first % CHUNKS_IN_ARRAY * sizeof(*bits),
					 bits, count * sizeof(*bits));
	for (uint64_t i = 0; i < count && result == 0; i++)
		result = add_chunk(spans, (first + i) * CHUNK_BYTES - ADDRESS_OFFSET, &bits[i]);
	return result;
}

static int
read_range(struct vmt_go_spans *spans, const struct vmt_go_view *view,
	   const struct vmt_go_run *range, uint64_t *left)
{
	uint64_t at = (range->start + ADDRESS_OFFSET) / CHUNK_BYTES;
	uint64_t end =
	    (range->start + range->bytes + ADDRESS_OFFSET + CHUNK_BYTES - 1) / CHUNK_BYTES;
	int result = 0;

	if (end > (uint64_t)ARRAYS * CHUNKS_IN_ARRAY || end - at > *left)
		return -EFBIG;
	*left -= end - at;
	while (at < end && result == 0) {
		uint64_t count = CHUNKS_IN_ARRAY - at % CHUNKS_IN_ARRAY;

		count = count < end - at ? count : end - at;
		count = count < CHUNKS_AT_ONCE ? count : CHUNKS_AT_ONCE;
		result = read_chunks(spans, view, at, count);
		at += count;
		if (view->pause)
			view->pause(view->context);
	}
	return result;
}

static int
read_cache(struct vmt_go_spans *spans, const struct vmt_go_view *view, uint64_t processor)
{
	struct page_cache cache = {0};
	int result =
	    vmt_remote_read(view->pid, processor + view->offsets->p_cache, &cache, sizeof(cache));

	if (result < 0 || cache.base % (64 * VMT_GO_PAGE_BYTES) != 0 ||
	    cache.base >= UINT64_C(1) << 56)
		return result < 0 ? result : -EINVAL;
	return cache.base != 0 ? add_pages(spans, cache.base, cache.free, cache.released) : 0;
}

static int
read_caches(struct vmt_go_spans *spans, const struct vmt_go_view *view)
{
	struct vmt_go_slice list = {0};
	uint64_t processor = 0;
	int result;

	if (view->processors == 0)
		return -ENODATA;
	result = vmt_go_view_slice(view, view->processors, &list);
	if (result == 0 && list.count > PROCESSORS_MOST)
		result = -EINVAL;
	for (uint64_t i = 0; result == 0 && i < list.count; i++) {
		result = vmt_remote_read(view->pid, list.address + i * sizeof(processor),
					 &processor, sizeof(processor));
		if (result == 0 && processor != 0)
			result = read_cache(spans, view, processor);
	}
	return result;
}

/* By address. What changed hands meanwhile is told twice: once is enough. */
static int
join_runs(struct vmt_go_runs *list, struct vmt_buffer *spare)
{
	struct vmt_go_run *runs = runs_of(list);
	size_t kept = 0;

	if (list->count == 0)
		return 0;
	if (!vmt_buffer_reserve(spare, list->count * sizeof(*runs)))
		return -ENOMEM;
	vmt_address_sort(runs, list->count, sizeof(*runs), spare->bytes);
	for (size_t i = 0; i < list->count; i++) {
		uint64_t end = runs[i].start + runs[i].bytes;

		if (kept == 0 || runs[i].start > runs[kept - 1].start + runs[kept - 1].bytes)
			runs[kept++] = runs[i];
		else if (end > runs[kept - 1].start + runs[kept - 1].bytes)
			runs[kept - 1].bytes = end - runs[kept - 1].start;
	}
	list->count = kept;
	return 0;
}

int
vmt_go_free_read(struct vmt_go_spans *spans, const struct vmt_go_view *view)
{
	const struct vmt_go_run *ranges = (const void *)spans->ranges.rows.bytes;
	uint64_t left = CHUNKS_MOST;
	int result = 0;

	spans->free.count = spans->released.count = 0;
	for (size_t i = 0; i < spans->ranges.count && result == 0; i++)
		result = read_range(spans, view, &ranges[i], &left);
	if (result == 0)
		result = read_caches(spans, view);
	if (result == 0)
		result = join_runs(&spans->free, &spans->spare);
	if (result == 0)
		result = join_runs(&spans->released, &spans->spare);
	if (result < 0)
		spans->free.count = spans->released.count = 0;
	return result;
}
