#include "tools/read/lookup.h"

#include "tools/read/lookup_talk.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uthash.h>

#define ANSWER_MS 60000
#define LOSSES_MAX 4u

/* A packet's texts stay in the record of the address; frames point into them. */
struct address {
	UT_hash_handle hh;
	uint64_t address;
	size_t count;
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	char texts[];
};

/* How much of a file is still asked for. */
enum trust { TRUST_ALL, TRUST_TABLES, TRUST_NONE };

struct module {
	UT_hash_handle hh;
	struct address *addresses;
	char *trouble; /* as the child says */
	bool known;    /* the child has been asked */
	bool has_debug;
	enum trust trust;
	size_t key_bytes;
	unsigned char key[]; /* build-id, then path */
};

struct vmt_lookup {
	struct module *modules;
	pid_t child; /* 0 = none */
	int socket;
	unsigned losses;
	unsigned char packet[VMT_LOOKUP_ANSWER_BYTES];
};

struct vmt_lookup *
vmt_lookup_new(void)
{
	struct vmt_lookup *lookup = calloc(1, sizeof(*lookup));

	if (lookup)
		lookup->socket = -1;
	return lookup;
}

static void
end_child(struct vmt_lookup *lookup)
{
	if (lookup->child == 0)
		return;
	close(lookup->socket);
	kill(lookup->child, SIGKILL);
	while (waitpid(lookup->child, NULL, 0) < 0 && errno == EINTR)
		;
	lookup->child = 0;
	lookup->socket = -1;
}

/* Clearing a table leaves its members linked, in the order in which they were added. */
static void
free_module(struct module *module)
{
	struct address *address = module->addresses;

	HASH_CLEAR(hh, module->addresses);
	while (address) {
		struct address *next = address->hh.next;

		free(address);
		address = next;
	}
	free(module->trouble);
	free(module);
}

void
vmt_lookup_free(struct vmt_lookup *lookup)
{
	struct module *module = lookup ? lookup->modules : NULL;

	if (!lookup)
		return;
	end_child(lookup);
	HASH_CLEAR(hh, lookup->modules);
	while (module) {
		struct module *next = module->hh.next;

		free_module(module);
		module = next;
	}
	free(lookup);
}

static bool
make_child(struct vmt_lookup *lookup)
{
	int ends[2];
	pid_t child;

	if (lookup->child != 0)
		return true;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return false;
	child = fork();
	if (child == 0) {
		close(ends[0]);
		vmt_lookup_serve(ends[1]);
	}
	close(ends[1]);
	if (child < 0) {
		close(ends[0]);
		return false;
	}
	lookup->child = child;
	lookup->socket = ends[0];
	return true;
}

static struct module *
find_module(struct vmt_lookup *lookup, const struct vmt_module *wanted)
{
	size_t key_bytes = (size_t)wanted->build_id_bytes + wanted->path_bytes;
	unsigned char key[VMT_BUILD_ID_MAX_BYTES + VMT_MODULE_PATH_MAX_BYTES];
	struct module *module;

	if (wanted->build_id_bytes > VMT_BUILD_ID_MAX_BYTES ||
	    wanted->path_bytes > VMT_MODULE_PATH_MAX_BYTES)
		return NULL;
	if (wanted->build_id_bytes)
		memcpy(key, wanted->build_id, wanted->build_id_bytes);
	memcpy(key + wanted->build_id_bytes, wanted->path, wanted->path_bytes);
	HASH_FIND(hh, lookup->modules, key, key_bytes, module);
	if (module)
		return module;
	module = malloc(sizeof(*module) + key_bytes);
	if (!module)
		return NULL;
	memset(module, 0, sizeof(*module));
	memcpy(module->key, key, key_bytes);
	module->key_bytes = key_bytes;
	HASH_ADD_KEYPTR(hh, lookup->modules, module->key, module->key_bytes, module);
	return module;
}

/* One question and its answer; the answer's bytes, 0 where the child was lost. */
static size_t
converse(struct vmt_lookup *lookup, const void *question, size_t length)
{
	struct pollfd waiting = {.events = POLLIN};
	ssize_t got;

	if (!make_child(lookup))
		return 0;
	waiting.fd = lookup->socket;
	if (send(lookup->socket, question, length, MSG_NOSIGNAL) != (ssize_t)length)
		return 0;
	while ((got = poll(&waiting, 1, ANSWER_MS)) < 0 && errno == EINTR)
		;
	if (got <= 0)
		return 0;
	got = recv(lookup->socket, lookup->packet, sizeof(lookup->packet), 0);
	return got >= (ssize_t)sizeof(struct vmt_lookup_answer) ? (size_t)got : 0;
}

/* Asks with less and less trust until there is an answer; 0 where there is none to be had. */
static size_t
ask(struct vmt_lookup *lookup, struct module *module, struct vmt_lookup_question *head,
    const void *rest, size_t rest_bytes)
{
	unsigned char question[VMT_LOOKUP_QUESTION_BYTES];
	size_t got = 0;

	assert(sizeof(*head) + rest_bytes <= sizeof(question));
	while (got == 0 && module->trust != TRUST_NONE && lookup->losses < LOSSES_MAX) {
		head->distrust = module->trust != TRUST_ALL;
		memcpy(question, head, sizeof(*head));
		memcpy(question + sizeof(*head), rest, rest_bytes);
		got = converse(lookup, question, sizeof(*head) + rest_bytes);
		if (got > 0)
			break;
		end_child(lookup);
		lookup->losses++;
		module->trust++;
	}
	return got;
}

/* The text at *at of a packet, which moves behind it; NULL where it is empty or has no end. */
static const char *
next_text(const char **at, const char *end)
{
	const char *text = *at;
	const char *nul = text < end ? memchr(text, 0, (size_t)(end - text)) : NULL;

	if (!nul)
		return NULL;
	*at = nul + 1;
	return nul > text ? text : NULL;
}

static void
keep_module(struct module *module, const struct vmt_lookup_answer *answer, const char *trouble)
{
	if (module->known)
		return;
	module->known = true;
	module->has_debug = answer->has_debug != 0;
	module->trouble = trouble ? strdup(trouble) : NULL;
}

static struct address *
keep_answer(struct vmt_lookup *lookup, struct module *module, uint64_t address, size_t bytes)
{
	struct vmt_lookup_answer answer;
	size_t texts_bytes = bytes - sizeof(answer);
	struct address *kept = malloc(sizeof(*kept) + texts_bytes);
	const char *at;
	const char *end;

	if (!kept)
		return NULL;
	memcpy(&answer, lookup->packet, sizeof(answer));
	memcpy(kept->texts, lookup->packet + sizeof(answer), texts_bytes);
	at = kept->texts;
	end = at + texts_bytes;
	kept->address = address;
	kept->count = answer.count <= VMT_SYMBOLS_MAX_INLINED ? answer.count : 0;
	keep_module(module, &answer, next_text(&at, end));
	for (size_t i = 0; i < kept->count; i++) {
		kept->frames[i] = (struct vmt_symbol){.line = answer.frames[i].line,
						      .inlined = answer.frames[i].inlined != 0,
						      .is_go = answer.frames[i].is_go != 0};
		kept->frames[i].function = next_text(&at, end);
		kept->frames[i].file = next_text(&at, end);
	}
	HASH_ADD(hh, module->addresses, address, sizeof(address), kept);
	return kept;
}

static struct address *
find_address(struct vmt_lookup *lookup, struct module *module, const struct vmt_module *wanted,
	     uint64_t address)
{
	struct vmt_lookup_question question = {
	    .kind = VMT_LOOKUP_RESOLVE,
	    .address = address,
	    .build_id_bytes = wanted->build_id_bytes,
	    .path_bytes = wanted->path_bytes,
	};
	struct address *kept;
	size_t got;

	HASH_FIND(hh, module->addresses, &address, sizeof(address), kept);
	if (kept)
		return kept;
	got = ask(lookup, module, &question, module->key, module->key_bytes);
	return got ? keep_answer(lookup, module, address, got) : NULL;
}

size_t
vmt_lookup_resolve(struct vmt_lookup *lookup, const struct vmt_module *wanted, uint64_t address,
		   struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED])
{
	struct module *module = find_module(lookup, wanted);
	const struct address *kept = module ? find_address(lookup, module, wanted, address) : NULL;

	if (!kept)
		return 0;
	memcpy(frames, kept->frames, kept->count * sizeof(*frames));
	return kept->count;
}

bool
vmt_lookup_go_member(struct vmt_lookup *lookup, const struct vmt_module *wanted,
		     const char *variable, const char *path, struct vmt_symbol_place *place)
{
	unsigned char rest[VMT_LOOKUP_QUESTION_BYTES - sizeof(struct vmt_lookup_question)];
	struct module *module = find_module(lookup, wanted);
	struct vmt_lookup_question question = {
	    .kind = VMT_LOOKUP_GO_MEMBER,
	    .build_id_bytes = wanted->build_id_bytes,
	    .path_bytes = wanted->path_bytes,
	    .variable_bytes = (uint32_t)strlen(variable) + 1,
	    .member_bytes = (uint32_t)strlen(path) + 1,
	};
	struct vmt_lookup_answer answer;
	size_t used;

	if (!module)
		return false;
	used = module->key_bytes;
	assert(used + question.variable_bytes + question.member_bytes <= sizeof(rest));
	memcpy(rest, module->key, used);
	memcpy(rest + used, variable, question.variable_bytes);
	memcpy(rest + used + question.variable_bytes, path, question.member_bytes);
	used += question.variable_bytes + question.member_bytes;
	if (!ask(lookup, module, &question, rest, used))
		return false;
	memcpy(&answer, lookup->packet, sizeof(answer));
	*place = answer.place;
	return answer.found != 0;
}

/* What a module is like is part of every answer. */
static struct module *
know_module(struct vmt_lookup *lookup, const struct vmt_module *wanted)
{
	struct module *module = find_module(lookup, wanted);

	if (module && !module->known)
		find_address(lookup, module, wanted, 0);
	return module;
}

bool
vmt_lookup_has_debug(struct vmt_lookup *lookup, const struct vmt_module *wanted)
{
	const struct module *module = know_module(lookup, wanted);

	return module && module->trust == TRUST_ALL && module->has_debug;
}

const char *
vmt_lookup_trouble(struct vmt_lookup *lookup, const struct vmt_module *wanted)
{
	const struct module *module = know_module(lookup, wanted);

	if (!module)
		return NULL;
	if (module->trust == TRUST_NONE)
		return "the file is damaged: looking into it failed";
	if (module->trust == TRUST_TABLES)
		return "its debug information is damaged: functions without lines";
	if (!module->known && lookup->losses >= LOSSES_MAX)
		return "not looked into: other files were damaged";
	return module->trouble;
}
