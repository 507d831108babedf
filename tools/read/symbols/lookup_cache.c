#include "tools/read/symbols/lookup_cache.h"

#include "tools/read/symbols/lookup_protocol.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct head {
	uint32_t key_bytes;
	uint32_t tried_bytes;
};

struct entry_head {
	uint32_t question_bytes;
	uint32_t answer_bytes;
};

/* Bytes that are taken from the front; none of them is trusted. */
struct bytes {
	const unsigned char *at;
	size_t left;
};

static const unsigned char *
take(struct bytes *bytes, size_t length)
{
	const unsigned char *taken = bytes->at;

	if (length > bytes->left)
		return NULL;
	bytes->at += length;
	bytes->left -= length;
	return taken;
}

static bool
take_copy(struct bytes *bytes, void *copy, size_t length)
{
	const unsigned char *taken = take(bytes, length);

	if (taken)
		memcpy(copy, taken, length);
	return taken != NULL;
}

/* The next path that was tried, or NULL. */
static const char *
next_tried(struct bytes *bytes, struct vmt_file_identity *identity)
{
	struct vmt_lookup_tried tried;
	const char *path;

	if (!take_copy(bytes, &tried, sizeof(tried)) || tried.path_bytes == 0)
		return NULL;
	*identity = tried.identity;
	path = (const char *)take(bytes, tried.path_bytes);
	return path && path[tried.path_bytes - 1] == '\0' ? path : NULL;
}

/* Every file that was tried is what it was, and there is nothing else among the bytes. */
static bool
holds(const unsigned char *tried, size_t tried_bytes)
{
	struct bytes bytes = {tried, tried_bytes};

	if (bytes.left == 0)
		return false;
	while (bytes.left) {
		struct vmt_file_identity identity;
		struct vmt_file_identity present;
		const char *path = next_tried(&bytes, &identity);

		if (!path)
			return false;
		present = vmt_file_identity_of(path);
		if (!vmt_file_identity_is_equal(&identity, &present))
			return false;
	}
	return true;
}

bool
vmt_lookup_cache_is_settled(const struct vmt_lookup_cache *kept)
{
	struct bytes bytes = {kept->tried, kept->tried_bytes};

	while (bytes.left) {
		struct vmt_file_identity identity;

		if (!next_tried(&bytes, &identity) || !vmt_file_identity_is_settled(&identity))
			return false;
	}
	return true;
}

/* Build-id, then FNV-1a of the whole key. */
static void
name_of(const struct vmt_lookup_cache *kept, char name[VMT_DISK_CACHE_NAME_BYTES])
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	size_t used = 0;

	assert(kept->key_bytes > kept->key[0] &&
	       kept->key[0] * (size_t)2 + 18 < VMT_DISK_CACHE_NAME_BYTES);
	for (size_t i = 1; i <= kept->key[0]; i++)
		used += (size_t)snprintf(name + used, 3, "%02x", kept->key[i]);
	for (size_t i = 0; i < kept->key_bytes; i++)
		hash = (hash ^ kept->key[i]) * UINT64_C(0x100000001b3);
	snprintf(name + used, 18, "-%016llx", (unsigned long long)hash);
}

static bool
unpack_answers(struct vmt_answer_table *answers, struct bytes bytes)
{
	while (bytes.left) {
		struct entry_head head;
		const unsigned char *question;
		const unsigned char *answer;

		if (!take_copy(&bytes, &head, sizeof(head)))
			return false;
		question = take(&bytes, head.question_bytes);
		answer = question ? take(&bytes, head.answer_bytes) : NULL;
		if (!answer || head.answer_bytes < sizeof(struct vmt_lookup_answer) ||
		    !vmt_answer_table_add(answers, question, head.question_bytes, answer,
					  head.answer_bytes))
			return false;
	}
	return true;
}

static bool
unpack(struct vmt_lookup_cache *kept, struct bytes bytes)
{
	const unsigned char *tried;
	const unsigned char *key;
	struct head head;

	if (!take_copy(&bytes, &head, sizeof(head)))
		return false;
	key = take(&bytes, head.key_bytes);
	tried = key ? take(&bytes, head.tried_bytes) : NULL;
	if (!tried || head.key_bytes != kept->key_bytes ||
	    memcmp(key, kept->key, kept->key_bytes) != 0 || !holds(tried, head.tried_bytes))
		return false;
	kept->tried = malloc(head.tried_bytes);
	if (!kept->tried)
		return false;
	memcpy(kept->tried, tried, head.tried_bytes);
	kept->tried_bytes = head.tried_bytes;
	return unpack_answers(&kept->answers, bytes);
}

void
vmt_lookup_cache_load(struct vmt_lookup_cache *kept, struct vmt_disk_cache *cache)
{
	char name[VMT_DISK_CACHE_NAME_BYTES];
	struct bytes bytes = {NULL, 0};
	unsigned char *read;

	name_of(kept, name);
	read = vmt_disk_cache_read(cache, name, &bytes.left);
	bytes.at = read;
	if (read && !unpack(kept, bytes)) {
		vmt_answer_table_clear(&kept->answers);
		free(kept->tried);
		kept->tried = NULL;
		kept->tried_bytes = 0;
	}
	free(read);
}

static void
put(unsigned char **at, const void *bytes, size_t length)
{
	memcpy(*at, bytes, length);
	*at += length;
}

/* What has no room in a file is left out. */
static unsigned char *
pack(const struct vmt_lookup_cache *kept, size_t *length)
{
	size_t room = VMT_DISK_CACHE_FILE_BYTES / 2;
	size_t needed = sizeof(struct head) + kept->key_bytes + kept->tried_bytes;
	struct head head = {(uint32_t)kept->key_bytes, (uint32_t)kept->tried_bytes};
	const struct vmt_answer *answer;
	unsigned char *bytes;
	unsigned char *at;

	for (answer = kept->answers.table; answer; answer = answer->hh.next)
		needed += sizeof(struct entry_head) + answer->question_bytes + answer->answer_bytes;
	room = needed < room ? needed : room;
	bytes = at = malloc(room);
	if (!bytes)
		return NULL;
	put(&at, &head, sizeof(head));
	put(&at, kept->key, kept->key_bytes);
	put(&at, kept->tried, kept->tried_bytes);
	for (answer = kept->answers.table; answer; answer = answer->hh.next) {
		struct entry_head entry = {(uint32_t)answer->question_bytes,
					   (uint32_t)answer->answer_bytes};
		size_t both = answer->question_bytes + answer->answer_bytes;

		if ((size_t)(bytes + room - at) < sizeof(entry) + both)
			break;
		put(&at, &entry, sizeof(entry));
		put(&at, answer->bytes, both);
	}
	*length = (size_t)(at - bytes);
	return bytes;
}

void
vmt_lookup_cache_save(const struct vmt_lookup_cache *kept, struct vmt_disk_cache *cache)
{
	char name[VMT_DISK_CACHE_NAME_BYTES];
	unsigned char *bytes;
	size_t length;

	if (!holds(kept->tried, kept->tried_bytes))
		return;
	bytes = pack(kept, &length);
	if (!bytes)
		return;
	name_of(kept, name);
	vmt_disk_cache_write(cache, name, bytes, length);
	free(bytes);
}
