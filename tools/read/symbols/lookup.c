#include "tools/read/symbols/lookup.h"

#include "base/ticks.h"
#include "tools/memory_limit.h"
#include "tools/read/symbols/answer_table.h"
#include "tools/read/symbols/lookup_child.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_BYTES (UINT64_C(4) << 30)
#define CPU_SECONDS 30u
#define WAIT_MS 60000u
#define ALL_ANSWERS 2u /* of one module: how many times as long as for one */
#define LOSSES_MAX 4u
#define CHILDREN_MAX 24u
#define WEIGH_NS UINT64_C(200000000)

struct module {
	UT_hash_handle hh;
	struct vmt_answer_table answers;
	struct vmt_lookup_child child;
	uint64_t asked;	    /* which of all questions was its last */
	uint64_t waited_ns; /* for all its answers, since it was trusted less */
	enum vmt_lookup_trust trust;
	char *trouble; /* as the child says */
	bool known;    /* an answer has told what the module is like */
	bool has_debug;
	bool is_settled;  /* where its names come from */
	bool is_unpacked; /* from nowhere: the trace has no names of it, and no file is asked */
	struct vmt_packed_module *packed; /* from the trace; NULL: from its files */
	unsigned char key[];
};

struct vmt_lookup {
	struct module *modules;
	struct vmt_lookup_limits limits;
	struct vmt_lookup_sources sources;
	unsigned children;
	unsigned losses;
	uint64_t questions;
	uint64_t waited_ns; /* for answers, since the children were weighed */
	unsigned char packet[VMT_LOOKUP_PACKET_BYTES];
};

/* What vmt_memory_limit_set_machine leaves. */
static uint64_t
usual_memory(void)
{
	uint64_t part = vmt_memory_limit_available() / 4;

	return part < MEMORY_BYTES ? part : MEMORY_BYTES;
}

struct vmt_lookup *
vmt_lookup_new(const struct vmt_lookup_limits *limits)
{
	struct vmt_lookup *lookup = calloc(1, sizeof(*lookup));

	if (!lookup)
		return NULL;
	if (limits)
		lookup->limits = *limits;
	if (!lookup->limits.memory_bytes)
		lookup->limits.memory_bytes = usual_memory();
	if (!lookup->limits.cpu_seconds)
		lookup->limits.cpu_seconds = CPU_SECONDS;
	if (!lookup->limits.wait_ms)
		lookup->limits.wait_ms = WAIT_MS;
	return lookup;
}

void
vmt_lookup_set_sources(struct vmt_lookup *lookup, const struct vmt_lookup_sources *sources)
{
	assert(!lookup->modules);
	lookup->sources = *sources;
}

static void
free_module(struct module *module)
{
	vmt_lookup_child_end(&module->child);
	vmt_answer_table_clear(&module->answers);
	free(module->trouble);
	free(module);
}

void
vmt_lookup_free(struct vmt_lookup *lookup)
{
	if (lookup)
		VMT_HASH_TABLE_FREE(struct module, lookup->modules, free_module);
	free(lookup);
}

/* The text at *at, which moves behind it; NULL where it is empty or has no end. */
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

/* An answer's parts: its head, and where its frames and its texts are. */
struct parts {
	struct vmt_lookup_answer head;
	const unsigned char *frames;
	const char *texts;
	const char *end;
};

static struct parts
parts_of(const struct vmt_answer *answer)
{
	const unsigned char *bytes = vmt_answer_table_text(answer);
	struct parts parts = {.frames = bytes + sizeof(parts.head),
			      .end = (const char *)bytes + answer->answer_bytes};
	size_t frames_bytes;

	assert(answer->answer_bytes >= sizeof(parts.head));
	memcpy(&parts.head, bytes, sizeof(parts.head));
	frames_bytes = parts.head.count * sizeof(struct vmt_lookup_frame);
	if (parts.head.count > VMT_SYMBOLS_MAX_INLINED ||
	    frames_bytes > answer->answer_bytes - sizeof(parts.head))
		parts.head.count = 0;
	parts.texts =
	    (const char *)parts.frames + parts.head.count * sizeof(struct vmt_lookup_frame);
	return parts;
}

/* What a module is like is part of every answer. */
static void
know(struct module *module, const struct vmt_answer *answer)
{
	struct parts parts = parts_of(answer);
	const char *trouble = next_text(&parts.texts, parts.end);

	if (module->known)
		return;
	module->known = true;
	module->has_debug = parts.head.has_debug != 0;
	module->trouble = trouble ? strdup(trouble) : NULL;
}

static struct module *
intern_module(struct vmt_lookup *lookup, const struct vmt_module *wanted)
{
	size_t key_bytes = (size_t)1 + wanted->build_id_bytes + wanted->path_bytes;
	unsigned char key[1 + VMT_BUILD_ID_MAX_BYTES + VMT_MODULE_PATH_MAX_BYTES];
	struct module *module;

	if (wanted->build_id_bytes > VMT_BUILD_ID_MAX_BYTES ||
	    wanted->path_bytes > VMT_MODULE_PATH_MAX_BYTES)
		return NULL;
	key[0] = (unsigned char)wanted->build_id_bytes;
	if (wanted->build_id_bytes)
		memcpy(key + 1, wanted->build_id, wanted->build_id_bytes);
	memcpy(key + 1 + wanted->build_id_bytes, wanted->path, wanted->path_bytes);
	HASH_FIND(hh, lookup->modules, key, key_bytes, module);
	if (module)
		return module;
	module = malloc(sizeof(*module) + key_bytes);
	if (!module)
		return NULL;
	memset(module, 0, sizeof(*module));
	memcpy(module->key, key, key_bytes);
	HASH_ADD_KEYPTR(hh, lookup->modules, module->key, key_bytes, module);
	if (module->hh.tbl)
		return module;
	free(module);
	return NULL;
}

/* The child whose last question is longest ago. */
static void
end_one_child(struct vmt_lookup *lookup)
{
	struct module *longest = NULL;

	for (struct module *module = lookup->modules; module; module = module->hh.next)
		if (module->child.pid && (!longest || module->asked < longest->asked))
			longest = module;
	assert(longest);
	vmt_lookup_child_end(&longest->child);
	lookup->children--;
}

void
vmt_lookup_end_children(struct vmt_lookup *lookup)
{
	while (lookup->children > 0)
		end_one_child(lookup);
}

static uint64_t
children_bytes(const struct vmt_lookup *lookup)
{
	uint64_t bytes = 0;

	for (struct module *module = lookup->modules; module; module = module->hh.next)
		if (module->child.pid)
			bytes += vmt_lookup_child_bytes(&module->child);
	return bytes;
}

/* All children together take no more for long than one may: what takes memory takes time. */
static void
weigh_children(struct vmt_lookup *lookup)
{
	if (lookup->waited_ns < WEIGH_NS)
		return;
	lookup->waited_ns = 0;
	while (lookup->children > 1 && children_bytes(lookup) > lookup->limits.memory_bytes)
		end_one_child(lookup);
}

static bool
make_child(struct vmt_lookup *lookup, struct module *module, const struct vmt_module *wanted)
{
	module->asked = ++lookup->questions;
	if (module->child.pid)
		return true;
	if (lookup->children == CHILDREN_MAX)
		end_one_child(lookup);
	if (!vmt_lookup_child_make(&module->child, lookup->sources.root, lookup->sources.recorded,
				   wanted, module->trust, &lookup->limits))
		return false;
	lookup->children++;
	return true;
}

static void
trust_less(struct vmt_lookup *lookup, struct module *module)
{
	lookup->losses++;
	module->trust++;
	module->waited_ns = 0;
}

/* A file whose answers take long each, and are many, is as bad as one that gives none. */
static void
note_waiting(struct vmt_lookup *lookup, struct module *module, uint64_t waited_ns)
{
	lookup->waited_ns += waited_ns;
	module->waited_ns += waited_ns;
	weigh_children(lookup);
	if (module->waited_ns <= ALL_ANSWERS * lookup->limits.wait_ms * UINT64_C(1000000))
		return;
	lookup->children -= module->child.pid != 0;
	vmt_lookup_child_end(&module->child);
	trust_less(lookup, module);
}

/* Asks with less and less trust until there is an answer; NULL where there is none to be had. */
static const struct vmt_answer *
ask(struct vmt_lookup *lookup, struct module *module, const struct vmt_module *wanted,
    const void *question, size_t length)
{
	const struct vmt_answer *answer;
	uint64_t from_ns = vmt_ticks_monotonic_ns();
	size_t got = 0;

	while (module->trust != VMT_LOOKUP_TRUST_NONE && lookup->losses < LOSSES_MAX) {
		if (make_child(lookup, module, wanted)) {
			got = vmt_lookup_child_ask(&module->child, question, length,
						   &lookup->limits, lookup->packet);
			lookup->children -= got == 0;
		}
		if (got > 0)
			break;
		trust_less(lookup, module);
	}
	if (got == 0)
		return NULL;
	answer = vmt_answer_table_add(&module->answers, question, length, lookup->packet, got);
	if (answer)
		know(module, answer);
	note_waiting(lookup, module, vmt_ticks_monotonic_ns() - from_ns);
	return answer;
}

static const struct vmt_answer *
find_address(struct vmt_lookup *lookup, struct module *module, const struct vmt_module *wanted,
	     uint64_t address)
{
	struct vmt_lookup_question question = {.kind = VMT_LOOKUP_RESOLVE, .address = address};
	const struct vmt_answer *kept =
	    vmt_answer_table_find(&module->answers, &question, sizeof(question));

	return kept ? kept : ask(lookup, module, wanted, &question, sizeof(question));
}

/* Its files where they come first and tell all that they should, else what the trace has. */
static void
settle_source(struct vmt_lookup *lookup, struct module *module, const struct vmt_module *wanted)
{
	struct vmt_packed_module *packed;

	if (module->is_settled || !lookup->sources.packed)
		return;
	module->is_settled = true;
	packed = vmt_packed_names_find(lookup->sources.packed, wanted);
	if (packed && lookup->sources.files_first) {
		find_address(lookup, module, wanted, 0);
		if (module->known && module->trust == VMT_LOOKUP_TRUST_ALL && !module->trouble)
			return;
	}
	module->packed = packed;
	module->is_unpacked = !packed && !lookup->sources.files_first;
}

static struct module *
find_module(struct vmt_lookup *lookup, const struct vmt_module *wanted)
{
	struct module *module = intern_module(lookup, wanted);

	if (module)
		settle_source(lookup, module, wanted);
	return module;
}

static size_t
frames_of(const struct vmt_answer *answer, struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED])
{
	struct parts parts = parts_of(answer);

	(void)next_text(&parts.texts, parts.end); /* the trouble */
	for (uint32_t i = 0; i < parts.head.count; i++) {
		struct vmt_lookup_frame frame;

		memcpy(&frame, parts.frames + i * sizeof(frame), sizeof(frame));
		frames[i] = (struct vmt_symbol){
		    .line = frame.line, .inlined = frame.inlined != 0, .is_go = frame.is_go != 0};
		frames[i].function = next_text(&parts.texts, parts.end);
		frames[i].file = next_text(&parts.texts, parts.end);
	}
	return parts.head.count;
}

size_t
vmt_lookup_resolve(struct vmt_lookup *lookup, const struct vmt_module *wanted, uint64_t address,
		   struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED])
{
	struct module *module = find_module(lookup, wanted);
	const struct vmt_answer *kept;

	if (!module || module->is_unpacked)
		return 0;
	if (module->packed)
		return vmt_packed_names_resolve(module->packed, address, frames);
	kept = find_address(lookup, module, wanted, address);
	return kept ? frames_of(kept, frames) : 0;
}

bool
vmt_lookup_go_member(struct vmt_lookup *lookup, const struct vmt_module *wanted,
		     const char *variable, const char *path, struct vmt_symbol_place *place)
{
	unsigned char question[VMT_LOOKUP_QUESTION_BYTES];
	struct module *module = find_module(lookup, wanted);
	struct vmt_lookup_question head = {.kind = VMT_LOOKUP_GO_MEMBER,
					   .variable_bytes = (uint32_t)strlen(variable) + 1};
	size_t path_bytes = strlen(path) + 1;
	size_t length = sizeof(head) + head.variable_bytes + path_bytes;
	const struct vmt_answer *answer;
	struct parts parts;

	if (!module || module->is_unpacked)
		return false;
	if (module->packed)
		return vmt_packed_names_go_member(module->packed, variable, path, place);
	assert(length <= sizeof(question));
	memcpy(question, &head, sizeof(head));
	memcpy(question + sizeof(head), variable, head.variable_bytes);
	memcpy(question + sizeof(head) + head.variable_bytes, path, path_bytes);
	answer = vmt_answer_table_find(&module->answers, question, length);
	if (!answer)
		answer = ask(lookup, module, wanted, question, length);
	if (!answer)
		return false;
	parts = parts_of(answer);
	*place = parts.head.place;
	return parts.head.found != 0;
}

static struct module *
know_module(struct vmt_lookup *lookup, const struct vmt_module *wanted)
{
	struct module *module = find_module(lookup, wanted);

	if (module && !module->known && !module->packed && !module->is_unpacked)
		find_address(lookup, module, wanted, 0);
	return module;
}

bool
vmt_lookup_has_debug(struct vmt_lookup *lookup, const struct vmt_module *wanted)
{
	const struct module *module = know_module(lookup, wanted);

	if (module && module->packed)
		return vmt_packed_names_has_debug(module->packed);
	return module && module->trust == VMT_LOOKUP_TRUST_ALL && module->has_debug;
}

static const char *
trouble_of(const struct vmt_lookup *lookup, const struct module *module)
{
	if (module->packed)
		return vmt_packed_names_trouble(module->packed);
	if (module->is_unpacked)
		return "its names are not in the packed trace";
	if (module->trust == VMT_LOOKUP_TRUST_NONE)
		return "the file is damaged and could not be read";
	if (module->trust == VMT_LOOKUP_TRUST_TABLES)
		return "its debug information is damaged: functions without lines";
	if (!module->known && lookup->losses >= LOSSES_MAX)
		return "skipped: other files were damaged";
	return module->trouble;
}

const char *
vmt_lookup_trouble(struct vmt_lookup *lookup, const struct vmt_module *wanted)
{
	const struct module *module = know_module(lookup, wanted);

	return module ? trouble_of(lookup, module) : NULL;
}

static int
visit_answer(const struct vmt_answer *answer, const struct vmt_names_visitor *visitor)
{
	const char *texts = (const char *)answer->bytes + sizeof(struct vmt_lookup_question);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_lookup_question question;
	struct parts parts = parts_of(answer);

	memcpy(&question, answer->bytes, sizeof(question));
	if (question.address == 0 && question.kind == VMT_LOOKUP_RESOLVE && parts.head.count == 0)
		return 0; /* asked only to learn what the module is like */
	if (question.kind == VMT_LOOKUP_RESOLVE)
		return visitor->address(visitor->context, question.address, frames,
					frames_of(answer, frames));
	return visitor->member(visitor->context, texts, texts + question.variable_bytes,
			       parts.head.found ? &parts.head.place : NULL);
}

static int
visit_module(const struct vmt_lookup *lookup, const struct module *module,
	     const struct vmt_names_visitor *visitor)
{
	const struct vmt_module described = {
	    .build_id = module->key + 1,
	    .build_id_bytes = module->key[0],
	    .path = (const char *)module->key + 1 + module->key[0],
	    .path_bytes = module->hh.keylen - 1 - module->key[0],
	};
	bool has_debug = module->trust == VMT_LOOKUP_TRUST_ALL && module->has_debug;
	int result;

	if (module->packed)
		return vmt_packed_names_visit(module->packed, visitor);
	result =
	    visitor->module(visitor->context, &described, has_debug, trouble_of(lookup, module));
	for (const struct vmt_answer *answer = module->answers.table; answer && result == 0;
	     answer = answer->hh.next)
		result = visit_answer(answer, visitor);
	return result;
}

int
vmt_lookup_visit(const struct vmt_lookup *lookup, const struct vmt_names_visitor *visitor)
{
	int result = 0;

	for (const struct module *module = lookup->modules; module && result == 0;
	     module = module->hh.next)
		result = visit_module(lookup, module, visitor);
	return result ? result : visitor->end(visitor->context);
}
