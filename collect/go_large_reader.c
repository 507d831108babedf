#include "collect/go_large_reader.h"

#include "collect/address_sort.h"
#include "format/varint.h"

#include <errno.h>
#include <string.h>

#define STEPS_MOST 8 /* specials of one span: of each kind one, but for cleanups */
#define TYPE_MEMORY UINT64_C(1)
#define FRAMES_OF_RUNTIME UINT64_C(1024) /* runtime.maxProfStackDepth */
#define BUCKET_WORDS 6u
#define NO_SITE UINT32_MAX

/* runtime.bucket; its frames follow. */
struct bucket {
	uint64_t next;
	uint64_t all_next;
	uint64_t type;
	uint64_t hash;
	uint64_t object_bytes;
	uint64_t frames;
};
_Static_assert(sizeof(struct bucket) == BUCKET_WORDS * 8, "the runtime's own words");

/* One large object. The first member is what they are sorted by. */
struct object {
	uint64_t key; /* its bucket; later its address */
	uint64_t start;
	uint64_t bytes;
	uint64_t descriptor;
	uint64_t specials;
	uint64_t at; /* the special that is to be read next; 0: none */
	uint64_t bucket;
	uint32_t site;
	uint32_t padding;
};

struct site {
	uint64_t objects;
	uint64_t object_bytes;
	uint64_t first_word;
	uint32_t frames;
	uint32_t padding;
};

void
vmt_go_large_free(struct vmt_go_large *large)
{
	vmt_buffer_free(&large->found);
	vmt_buffer_free(&large->spare);
	vmt_buffer_free(&large->pending);
	vmt_buffer_free(&large->sites);
	vmt_buffer_free(&large->words);
}

static struct object *
objects_of(const struct vmt_go_large *large)
{
	return (struct object *)(void *)large->found.bytes;
}

static struct site *
sites_of(const struct vmt_go_large *large)
{
	return (struct site *)(void *)large->sites.bytes;
}

/* Whether it is the span of a large object that has specials. */
static bool
is_wanted(const struct vmt_go_span_row *row)
{
	return row->span.class < 2 && row->span.allocated == 1 && row->specials != 0;
}

static int
collect_spans(struct vmt_go_large *large, const struct vmt_go_spans *spans)
{
	const struct vmt_go_span_row *rows = vmt_go_spans_rows(spans);
	uint64_t wanted = 0;

	for (size_t i = 0; i < spans->count; i++)
		wanted += is_wanted(&rows[i]);
	large->unread = wanted > VMT_GO_LARGE_OBJECTS ? wanted - VMT_GO_LARGE_OBJECTS : 0;
	wanted -= large->unread;
	if (!vmt_buffer_reserve(&large->found, (wanted + 1) * sizeof(struct object)) ||
	    !vmt_buffer_reserve(&large->spare, (wanted + 1) * sizeof(struct object)) ||
	    !vmt_buffer_reserve(&large->pending, (wanted + 1) * sizeof(uint64_t)))
		return -ENOMEM;
	large->objects = 0;
	for (size_t i = 0; i < spans->count && large->objects < wanted; i++)
		if (is_wanted(&rows[i]))
			objects_of(large)[large->objects++] =
			    (struct object){.start = rows[i].span.start,
					    .bytes = rows[i].span.bytes,
					    .descriptor = rows[i].descriptor,
					    .specials = rows[i].specials,
					    .at = rows[i].specials,
					    .site = NO_SITE};
	return 0;
}

struct visit {
	struct vmt_go_large *large;
	const struct vmt_go_view *view;
	uint64_t next; /* the object that is looked at */
};

static uint64_t
word_at(const unsigned char *bytes, uint32_t offset)
{
	uint64_t word;

	memcpy(&word, bytes + offset, sizeof(word));
	return word;
}

/* One step along the list of the next object that is not through. */
static void
take_special(void *context, size_t index, const unsigned char *bytes)
{
	struct visit *visit = context;
	const struct vmt_go_offsets *offsets = visit->view->offsets;
	struct object *object;

	(void)index;
	while (objects_of(visit->large)[visit->next].at == 0)
		visit->next++;
	object = &objects_of(visit->large)[visit->next++];
	if (!bytes)
		return;
	object->at = word_at(bytes, offsets->special_next);
	if (bytes[offsets->special_kind] == offsets->profile_kind) {
		object->bucket = word_at(bytes, offsets->profile_bucket);
		object->at = 0;
	}
}

/* How many of the lists go on, and where. */
static size_t
list_pending(struct vmt_go_large *large)
{
	uint64_t *pending = (void *)large->pending.bytes;
	size_t count = 0;

	for (uint64_t i = 0; i < large->objects; i++)
		if (objects_of(large)[i].at != 0)
			pending[count++] = objects_of(large)[i].at;
	return count;
}

static int
follow_lists(struct vmt_go_large *large, const struct vmt_go_view *view)
{
	size_t count = list_pending(large);
	int result = 0;

	for (int step = 0; step < STEPS_MOST && count != 0 && result == 0; step++) {
		struct visit visit = {large, view, 0};
		struct vmt_remote_pieces pieces = {
		    .pid = view->pid,
		    .addresses = (const uint64_t *)(const void *)large->pending.bytes,
		    .count = count,
		    .piece_bytes = view->offsets->profile_bucket + 8,
		    .visit = take_special,
		    .context = &visit,
		    .pause = view->pause,
		    .pause_context = view->context,
		};

		result = vmt_remote_read_pieces(&pieces);
		count = list_pending(large);
	}
	return result;
}

/* What the span says behind all. */
static void
confirm_span(void *context, size_t index, const unsigned char *bytes)
{
	struct visit *visit = context;
	struct object *object = &objects_of(visit->large)[index];
	struct vmt_go_span_row row = {.specials = 0};

	if (!bytes || !vmt_go_spans_parse(visit->view->offsets, bytes, &row) || !is_wanted(&row) ||
	    row.span.start != object->start || row.span.bytes != object->bytes ||
	    row.specials != object->specials || object->at != 0) {
		object->bucket = 0;
		visit->large->unread++;
	}
}

static int
confirm(struct vmt_go_large *large, const struct vmt_go_view *view)
{
	uint64_t *descriptors = (void *)large->pending.bytes;
	struct visit visit = {large, view, 0};
	struct vmt_remote_pieces pieces = {
	    .pid = view->pid,
	    .addresses = descriptors,
	    .count = large->objects,
	    .piece_bytes = view->offsets->span_bytes,
	    .visit = confirm_span,
	    .context = &visit,
	    .pause = view->pause,
	    .pause_context = view->context,
	};

	for (uint64_t i = 0; i < large->objects; i++)
		descriptors[i] = objects_of(large)[i].descriptor;
	return vmt_remote_read_pieces(&pieces);
}

/* Its stack and size, as a new site; false: it can't be one. */
static bool
read_bucket(struct vmt_go_large *large, const struct vmt_go_view *view, uint64_t address)
{
	struct site *site = &sites_of(large)[large->site_count];
	struct bucket bucket = {0};
	uint64_t frames;

	if (address % 8 != 0 || vmt_remote_read(view->pid, address, &bucket, sizeof(bucket)) < 0 ||
	    bucket.type != TYPE_MEMORY || bucket.frames > FRAMES_OF_RUNTIME)
		return false;
	frames = bucket.frames < VMT_GO_PROFILE_FRAMES ? bucket.frames : VMT_GO_PROFILE_FRAMES;
	if (frames != 0 &&
	    vmt_remote_read(view->pid, address + sizeof(bucket),
			    large->words.bytes + large->words_count * 8, frames * 8) < 0)
		return false;
	*site = (struct site){.object_bytes = bucket.object_bytes,
			      .first_word = large->words_count,
			      .frames = (uint32_t)frames};
	return true;
}

/* All objects of one bucket; those that its size is not of have no site. */
static void
take_bucket(struct vmt_go_large *large, const struct vmt_go_view *view, struct object *objects,
	    uint64_t count)
{
	bool is_read =
	    large->site_count < VMT_GO_LARGE_SITES && read_bucket(large, view, objects[0].bucket);
	struct site *site = &sites_of(large)[large->site_count];

	for (uint64_t i = 0; i < count; i++) {
		if (!is_read || objects[i].bytes !=
				    vmt_go_large_pages(site->object_bytes) * VMT_GO_PAGE_BYTES) {
			large->unread++;
			continue;
		}
		objects[i].site = (uint32_t)large->site_count;
		site->objects++;
	}
	if (!is_read || site->objects == 0)
		return;
	large->words_count += site->frames;
	large->site_count++;
}

static void
sort_by(struct vmt_go_large *large, bool bucket)
{
	struct object *objects = objects_of(large);

	for (uint64_t i = 0; i < large->objects; i++)
		objects[i].key = bucket ? objects[i].bucket : objects[i].start;
	vmt_address_sort(objects, large->objects, sizeof(*objects), large->spare.bytes);
}

/* Keeps those that have a bucket, or a site. */
static void
keep(struct vmt_go_large *large, bool site)
{
	struct object *objects = objects_of(large);
	uint64_t kept = 0;

	for (uint64_t i = 0; i < large->objects; i++)
		if (site ? objects[i].site != NO_SITE : objects[i].bucket != 0)
			objects[kept++] = objects[i];
	large->objects = kept;
}

static int
read_sites(struct vmt_go_large *large, const struct vmt_go_view *view)
{
	uint64_t most = large->objects < VMT_GO_LARGE_SITES ? large->objects : VMT_GO_LARGE_SITES;
	uint64_t end;

	if (!vmt_buffer_reserve(&large->sites, (most + 1) * sizeof(struct site)) ||
	    !vmt_buffer_reserve(&large->words, (most + 1) * VMT_GO_PROFILE_FRAMES * 8))
		return -ENOMEM;
	for (uint64_t i = 0; i < large->objects; i = end) {
		struct object *objects = objects_of(large);

		for (end = i + 1; end < large->objects; end++)
			if (objects[end].bucket != objects[i].bucket)
				break;
		take_bucket(large, view, objects + i, end - i);
		if (view->pause && large->site_count % 64 == 63)
			view->pause(view->context);
	}
	return 0;
}

int
vmt_go_large_read(struct vmt_go_large *large, const struct vmt_go_view *view,
		  const struct vmt_go_spans *spans)
{
	int result = collect_spans(large, spans);

	large->site_count = large->words_count = 0;
	if (result == 0)
		result = follow_lists(large, view);
	if (result == 0)
		result = confirm(large, view);
	keep(large, false);
	sort_by(large, true);
	if (result == 0)
		result = read_sites(large, view);
	keep(large, true);
	sort_by(large, false);
	return result;
}

size_t
vmt_go_large_room(const struct vmt_go_large *large)
{
	return large->site_count * VMT_GO_PROFILE_ROW_MAX_BYTES(0) +
	       large->words_count * VMT_VARINT_MAX_BYTES +
	       large->objects * VMT_GO_LARGE_OBJECT_MAX_BYTES;
}

unsigned char *
vmt_go_large_write(const struct vmt_go_large *large, unsigned char *at)
{
	const uint64_t *words = (const void *)large->words.bytes;
	struct vmt_go_profile_coder coder;
	uint64_t page = 0;

	vmt_go_profile_begin(&coder);
	for (uint64_t i = 0; i < large->site_count; i++) {
		const struct site *site = &sites_of(large)[i];
		const struct vmt_go_profile_row row = {site->objects, site->object_bytes,
						       site->frames};

		at = vmt_go_profile_put(&coder, at, &row, words + site->first_word);
	}
	for (uint64_t i = 0; i < large->objects; i++) {
		const struct object *object = &objects_of(large)[i];

		at = vmt_go_large_put(&page, at,
				      &(struct vmt_go_large_object){object->start, object->site},
				      object->bytes / VMT_GO_PAGE_BYTES);
	}
	return at;
}
