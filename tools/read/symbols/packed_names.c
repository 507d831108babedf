#include "tools/read/symbols/packed_names.h"

#include "format/varint.h"
#include "tools/hash_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Frames of one address, which lie together. */
struct address {
	uint64_t address;
	uint32_t first;
	uint32_t count;
};

struct member {
	const char *variable;
	const char *path;
	struct vmt_symbol_place place;
	bool found;
};

/* Grows by half: an array of items of one size. */
struct list {
	void *items;
	size_t count;
	size_t room;
};

struct vmt_packed_module {
	UT_hash_handle hh;
	struct list addresses; /* struct address */
	struct list frames;    /* struct vmt_symbol */
	struct list members;   /* struct member */
	const char *trouble;
	bool has_debug;
	bool is_sorted;
	uint32_t build_id_bytes;
	uint32_t path_bytes;
	unsigned char key[]; /* how long the build-id is, the build-id, the path */
};

struct vmt_packed_names {
	struct vmt_packed_module *modules;
	struct list texts; /* char *: one block for the texts of each payload */
	uint64_t bytes;	   /* of the payloads taken */
	size_t addresses;
	size_t frames;
	size_t members;
};

/* A payload that is read, and its texts. */
struct source {
	const unsigned char *at;
	const unsigned char *end;
	const char **texts;
	size_t text_count;
};

static void *
append(struct list *list, size_t item_bytes)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room + list->room / 2 : 16;
		void *items = reallocarray(list->items, room, item_bytes);

		if (!items)
			return NULL;
		list->items = items;
		list->room = room;
	}
	return (char *)list->items + list->count++ * item_bytes;
}

struct vmt_packed_names *
vmt_packed_names_new(void)
{
	return calloc(1, sizeof(struct vmt_packed_names));
}

static void
free_module(struct vmt_packed_module *module)
{
	free(module->addresses.items);
	free(module->frames.items);
	free(module->members.items);
	free(module);
}

void
vmt_packed_names_free(struct vmt_packed_names *names)
{
	if (!names)
		return;
	VMT_HASH_TABLE_FREE(struct vmt_packed_module, names->modules, free_module);
	for (size_t i = 0; i < names->texts.count; i++)
		free(((char **)names->texts.items)[i]);
	free(names->texts.items);
	free(names);
}

static bool
get(struct source *source, uint64_t *value)
{
	return vmt_varint_get(&source->at, source->end, value);
}

/* A text by its number; 0 = none. */
static bool
get_text(struct source *source, const char **text)
{
	uint64_t number;

	if (!get(source, &number) || number > source->text_count)
		return false;
	*text = number ? source->texts[number - 1] : NULL;
	return true;
}

/* The texts, each with a NUL behind it in one block of the names'. */
static int
read_texts(struct vmt_packed_names *names, struct source *source)
{
	size_t left = (size_t)(source->end - source->at);
	char **kept;
	uint64_t count;
	char *put;

	/* Each takes a byte at the least. */
	if (!get(source, &count) || count > left)
		return -EBADMSG;
	if (count > VMT_PACKED_NAMES_MAX_TEXTS)
		return -E2BIG;
	source->texts = calloc(count + 1, sizeof(*source->texts));
	kept = append(&names->texts, sizeof(*kept));
	if (!source->texts || !kept) {
		names->texts.count -= kept != NULL;
		return -ENOMEM;
	}
	*kept = put = malloc(left + count + 1);
	if (!put)
		return -ENOMEM;
	for (; source->text_count < count; source->text_count++) {
		uint64_t length;

		if (!get(source, &length) || length >= VMT_PACKED_NAMES_TEXT_BYTES ||
		    length > (size_t)(source->end - source->at) ||
		    memchr(source->at, 0, length) != NULL)
			return -EBADMSG;
		memcpy(put, source->at, length);
		put[length] = '\0';
		source->texts[source->text_count] = put;
		put += length + 1;
		source->at += length;
	}
	return 0;
}

static size_t
make_key(unsigned char *key, const struct vmt_module *module)
{
	key[0] = (unsigned char)module->build_id_bytes;
	if (module->build_id_bytes)
		memcpy(key + 1, module->build_id, module->build_id_bytes);
	memcpy(key + 1 + module->build_id_bytes, module->path, module->path_bytes);
	return (size_t)1 + module->build_id_bytes + module->path_bytes;
}

struct vmt_packed_module *
vmt_packed_names_find(struct vmt_packed_names *names, const struct vmt_module *wanted)
{
	unsigned char key[1 + VMT_BUILD_ID_MAX_BYTES + VMT_MODULE_PATH_MAX_BYTES];
	struct vmt_packed_module *module;
	size_t key_bytes;

	if (wanted->build_id_bytes > VMT_BUILD_ID_MAX_BYTES ||
	    wanted->path_bytes > VMT_MODULE_PATH_MAX_BYTES)
		return NULL;
	key_bytes = make_key(key, wanted);
	HASH_FIND(hh, names->modules, key, key_bytes, module);
	return module;
}

static int
intern_module(struct vmt_packed_names *names, const struct vmt_module *wanted,
	      struct vmt_packed_module **interned)
{
	struct vmt_packed_module *module = vmt_packed_names_find(names, wanted);
	size_t key_bytes = (size_t)1 + wanted->build_id_bytes + wanted->path_bytes;

	*interned = module;
	if (module)
		return 0;
	if (HASH_COUNT(names->modules) >= VMT_PACKED_NAMES_MAX_MODULES)
		return -E2BIG;
	*interned = module = calloc(1, sizeof(*module) + key_bytes);
	if (!module)
		return -ENOMEM;
	module->is_sorted = true;
	module->build_id_bytes = wanted->build_id_bytes;
	module->path_bytes = wanted->path_bytes;
	make_key(module->key, wanted);
	HASH_ADD_KEYPTR(hh, names->modules, module->key, key_bytes, module);
	if (module->hh.tbl)
		return 0;
	free(module);
	return -ENOMEM;
}

static bool
get_bytes(struct source *source, size_t most, const unsigned char **bytes, uint32_t *length)
{
	uint64_t wanted;

	if (!get(source, &wanted) || wanted > most || wanted > (size_t)(source->end - source->at))
		return false;
	*bytes = source->at;
	*length = (uint32_t)wanted;
	source->at += wanted;
	return true;
}

static int
read_frame(struct vmt_packed_module *module, struct source *source)
{
	struct vmt_symbol symbol = {.line = 0};
	struct vmt_symbol *kept;
	unsigned char flags;
	uint64_t line;

	if (!get_text(source, &symbol.function) || !get_text(source, &symbol.file) ||
	    !get(source, &line) || line > UINT32_MAX ||
	    !vmt_varint_get_byte(&source->at, source->end, &flags))
		return -EBADMSG;
	symbol.line = (uint32_t)line;
	symbol.inlined = (flags & VMT_PACKED_NAMES_INLINED) != 0;
	symbol.is_go = (flags & VMT_PACKED_NAMES_GO) != 0;
	kept = append(&module->frames, sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	*kept = symbol;
	return 0;
}

static int
read_address(struct vmt_packed_module *module, struct source *source, uint64_t *address)
{
	struct address *kept;
	unsigned char count;
	uint64_t distance;
	int result = 0;

	if (!get(source, &distance) || !vmt_varint_get_byte(&source->at, source->end, &count) ||
	    count > VMT_SYMBOLS_MAX_INLINED || module->frames.count > UINT32_MAX - count)
		return -EBADMSG;
	*address += distance;
	kept = append(&module->addresses, sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	*kept = (struct address){*address, (uint32_t)module->frames.count, count};
	if (module->addresses.count > 1 && kept[-1].address >= *address)
		module->is_sorted = false;
	for (unsigned i = 0; i < count && result == 0; i++)
		result = read_frame(module, source);
	return result;
}

static int
read_addresses(struct vmt_packed_names *names, struct vmt_packed_module *module,
	       struct source *source)
{
	uint64_t address = 0;
	uint64_t count;
	int result = 0;

	if (!get(source, &count))
		return -EBADMSG;
	for (; count > 0 && result == 0; count--) {
		size_t frames = module->frames.count;

		if (names->addresses++ >= VMT_PACKED_NAMES_MAX_ADDRESSES)
			return -E2BIG;
		result = read_address(module, source, &address);
		names->frames += module->frames.count - frames;
		if (names->frames > VMT_PACKED_NAMES_MAX_FRAMES)
			return -E2BIG;
	}
	return result;
}

static int
read_member(struct vmt_packed_module *module, struct source *source)
{
	struct member member = {.found = false};
	struct member *kept;
	unsigned char found;

	if (!get_text(source, &member.variable) || !get_text(source, &member.path) ||
	    !member.variable || !member.path ||
	    !vmt_varint_get_byte(&source->at, source->end, &found) ||
	    !get(source, &member.place.offset) || !get(source, &member.place.bytes))
		return -EBADMSG;
	member.found = found != 0;
	kept = append(&module->members, sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	*kept = member;
	return 0;
}

static int
read_module(struct vmt_packed_names *names, struct source *source)
{
	struct vmt_module described = {.path = NULL};
	struct vmt_packed_module *module;
	const unsigned char *path;
	const char *trouble;
	unsigned char flags;
	uint64_t members;
	int result;

	if (!get_bytes(source, VMT_BUILD_ID_MAX_BYTES, &described.build_id,
		       &described.build_id_bytes) ||
	    !get_bytes(source, VMT_MODULE_PATH_MAX_BYTES, &path, &described.path_bytes) ||
	    !vmt_varint_get_byte(&source->at, source->end, &flags) || !get_text(source, &trouble))
		return -EBADMSG;
	described.path = (const char *)path;
	result = intern_module(names, &described, &module);
	if (result)
		return result;
	module->has_debug = (flags & VMT_PACKED_NAMES_HAS_DEBUG) != 0;
	module->trouble = trouble;
	result = read_addresses(names, module, source);
	if (result == 0 && !get(source, &members))
		result = -EBADMSG;
	for (; result == 0 && members > 0; members--)
		result = names->members++ < VMT_PACKED_NAMES_MAX_MEMBERS
			     ? read_member(module, source)
			     : -E2BIG;
	return result;
}

int
vmt_packed_names_read(struct vmt_packed_names *names, const unsigned char *bytes, size_t length)
{
	struct source source = {.at = bytes, .end = bytes + length};
	int result;

	if (length > VMT_PACKED_NAMES_MAX_BYTES - names->bytes)
		return -E2BIG;
	names->bytes += length;
	result = read_texts(names, &source);
	while (result == 0 && source.at < source.end)
		result = read_module(names, &source);
	free(source.texts);
	return result;
}

size_t
vmt_packed_names_modules(const struct vmt_packed_names *names)
{
	return HASH_COUNT(names->modules);
}

size_t
vmt_packed_names_addresses(const struct vmt_packed_names *names)
{
	return names->addresses;
}

/* Of one address that stands twice, what came first. */
static int
compare_addresses(const void *left, const void *right)
{
	const struct address *a = left;
	const struct address *b = right;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return (a->first > b->first) - (a->first < b->first);
}

static void
sort(struct vmt_packed_module *module)
{
	if (!module->is_sorted)
		qsort(module->addresses.items, module->addresses.count, sizeof(struct address),
		      compare_addresses);
	module->is_sorted = true;
}

static const struct address *
find_address(struct vmt_packed_module *module, uint64_t wanted)
{
	const struct address *all;
	size_t low = 0;
	size_t high = module->addresses.count;

	sort(module);
	all = module->addresses.items;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (all[middle].address < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low < module->addresses.count && all[low].address == wanted ? &all[low] : NULL;
}

static const struct vmt_symbol *
frames_of(const struct vmt_packed_module *module, const struct address *address)
{
	return (const struct vmt_symbol *)module->frames.items + address->first;
}

size_t
vmt_packed_names_resolve(struct vmt_packed_module *module, uint64_t address,
			 struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED])
{
	const struct address *found = find_address(module, address);

	if (!found || found->count == 0)
		return 0;
	memcpy(frames, frames_of(module, found), found->count * sizeof(*frames));
	return found->count;
}

bool
vmt_packed_names_go_member(const struct vmt_packed_module *module, const char *variable,
			   const char *path, struct vmt_symbol_place *place)
{
	const struct member *all = module->members.items;

	for (size_t i = 0; i < module->members.count; i++) {
		if (strcmp(all[i].variable, variable) != 0 || strcmp(all[i].path, path) != 0)
			continue;
		*place = all[i].place;
		return all[i].found;
	}
	return false;
}

bool
vmt_packed_names_has_debug(const struct vmt_packed_module *module)
{
	return module->has_debug;
}

const char *
vmt_packed_names_trouble(const struct vmt_packed_module *module)
{
	return module->trouble;
}

int
vmt_packed_names_visit(struct vmt_packed_module *module, const struct vmt_names_visitor *visitor)
{
	const struct vmt_module described = {
	    .build_id = module->key + 1,
	    .build_id_bytes = module->build_id_bytes,
	    .path = (const char *)module->key + 1 + module->build_id_bytes,
	    .path_bytes = module->path_bytes,
	};
	const struct address *addresses;
	const struct member *members = module->members.items;
	int result =
	    visitor->module(visitor->context, &described, module->has_debug, module->trouble);

	sort(module);
	addresses = module->addresses.items;
	for (size_t i = 0; i < module->addresses.count && result == 0; i++)
		result =
		    visitor->address(visitor->context, addresses[i].address,
				     addresses[i].count ? frames_of(module, &addresses[i]) : NULL,
				     addresses[i].count);
	for (size_t i = 0; i < module->members.count && result == 0; i++)
		result = visitor->member(visitor->context, members[i].variable, members[i].path,
					 members[i].found ? &members[i].place : NULL);
	return result;
}
