#include "tools/cmd/pod_patch.h"

#include "format/settings.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES ((size_t)16 << 20)

#define VOLUME "vmtrace"
#define DIRECTORY "/vmtrace"
#define LIBRARY DIRECTORY "/libvmtrace.so"
#define OWN_NAME "libvmtrace.so"

/* A container that is to be recorded. */
struct container {
	const char *name;
	bool has_sources;    /* envFrom: of variables that are not seen */
	const char *preload; /* what it has already; "" where that is nothing */
};

/* The whole input, to be freed. */
static json_t *
read_input(FILE *in, struct vmt_err *err)
{
	char *text = malloc(MOST_BYTES);
	size_t length = text ? fread(text, 1, MOST_BYTES, in) : 0;
	json_error_t why;
	json_t *root = NULL;

	if (!text)
		vmt_err_set(err, ENOMEM, "out of memory");
	else if (length == MOST_BYTES)
		vmt_err_set(err, EFBIG, "the workload has more than 16 MiB");
	else if (!(root = json_loadb(text, length, 0, &why)))
		vmt_err_set(err, EBADMSG,
			    "this is no JSON (%s): kubectl get deployment NAME -o json | vmtrace "
			    "env --patch -",
			    why.text);
	free(text);
	return root;
}

/* The pods' specification, or NULL with a message. */
static json_t *
find_pod(json_t *root, struct vmt_err *err)
{
	const char *kind = json_string_value(json_object_get(root, "kind"));
	json_t *template = json_object_get(json_object_get(root, "spec"), "template");
	json_t *pod = json_object_get(template, "spec");

	if (kind && strcmp(kind, "Job") == 0) {
		vmt_err_set(err, ENOTSUP,
			    "the template of a Job can't be changed: the lines that vmtrace env "
			    "prints go into what it is made from");
		return NULL;
	}
	if (json_is_array(json_object_get(pod, "containers")))
		return pod;
	vmt_err_set(err, EBADMSG,
		    "a %.100s has no spec.template.spec.containers: a patch is for one Deployment, "
		    "StatefulSet, DaemonSet or ReplicaSet",
		    kind ? kind : "document without a kind");
	return NULL;
}

/* The last LD_PRELOAD of a container, which is the one that counts; NULL: it has none. */
static json_t *
find_preload(json_t *container)
{
	json_t *found = NULL;
	json_t *variable;
	size_t i;

	json_array_foreach(json_object_get(container, "env"), i, variable)
	{
		const char *key = json_string_value(json_object_get(variable, "name"));

		if (key && strcmp(key, "LD_PRELOAD") == 0)
			found = variable;
	}
	return found;
}

/* What a container has as LD_PRELOAD; NULL with a message where it can't be known or needs none. */
static const char *
preload_of(json_t *container, const char *name, struct vmt_err *err)
{
	json_t *variable = find_preload(container);
	const char *value = json_string_value(json_object_get(variable, "value"));

	if (json_object_get(variable, "valueFrom")) {
		vmt_err_set(err, ENOTSUP,
			    "container %s has LD_PRELOAD from elsewhere (valueFrom): it can't be "
			    "joined here",
			    name);
		return NULL;
	}
	if (value && strstr(value, OWN_NAME)) {
		vmt_err_set(err, EEXIST, "container %s loads " OWN_NAME " already", name);
		return NULL;
	}
	return value ? value : "";
}

/* The containers to be recorded, to be freed; NULL with a message. */
static struct container *
find_containers(const struct vmt_pod_patch *patch, json_t *pod, size_t *count, struct vmt_err *err)
{
	json_t *list = json_object_get(pod, "containers");
	struct container *all = calloc(json_array_size(list) + 1, sizeof(*all));
	json_t *item;
	size_t i;

	*count = 0;
	if (!all)
		vmt_err_set(err, ENOMEM, "out of memory");
	json_array_foreach(list, i, item)
	{
		const char *name = json_string_value(json_object_get(item, "name"));

		if (!all || !name || (patch->container && strcmp(name, patch->container) != 0))
			continue;
		all[*count].name = name;
		all[*count].has_sources = json_array_size(json_object_get(item, "envFrom")) > 0;
		all[*count].preload = preload_of(item, name, err);
		*count += all[*count].preload != NULL;
	}
	if (all && *count == 0)
		vmt_err_set(err, ENOENT, "there is no container %s",
			    patch->container ? patch->container : "with a name");
	if (!err->text[0])
		return all;
	free(all);
	return NULL;
}

/* As a string that YAML and JSON read alike. */
static void
put_string(FILE *out, const char *text)
{
	json_t *string = json_string(text);
	char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;

	fputs(quoted ? quoted : "\"\"", out);
	free(quoted);
	json_decref(string);
}

static void
put_container(FILE *out, const struct container *container)
{
	const struct vmt_setting *output = &vmt_settings[VMT_SETTING_OUTPUT];
	size_t room = sizeof(LIBRARY) + strlen(container->preload) + 1;
	char *preload = malloc(room);

	if (preload)
		snprintf(preload, room, LIBRARY "%s%s", *container->preload ? ":" : "",
			 container->preload);
	fputs("        - name: ", out);
	put_string(out, container->name);
	fputs("\n          env:\n            - name: LD_PRELOAD\n              value: ", out);
	put_string(out, preload ? preload : LIBRARY);
	fprintf(out, "\n            - name: %s\n              value: ", output->variable);
	fprintf(out, "\"" DIRECTORY "/%s\"\n", output->fallback);
	fputs("          volumeMounts:\n"
	      "            - {name: " VOLUME ", mountPath: " DIRECTORY "}\n",
	      out);
	free(preload);
}

static void
put_patch(const struct vmt_pod_patch *patch, const struct container *containers, size_t count,
	  FILE *out)
{
	fputs("spec:\n  template:\n    spec:\n      initContainers:\n"
	      "        - name: vmtrace-install\n          image: ",
	      out);
	put_string(out, patch->image);
	fprintf(out, "\n          command: [/vmtrace-install, %s" DIRECTORY "]\n",
		patch->is_musl ? "--musl, " : "");
	fputs("          volumeMounts:\n"
	      "            - {name: " VOLUME ", mountPath: " DIRECTORY "}\n"
	      "      containers:\n",
	      out);
	for (size_t i = 0; i < count; i++)
		put_container(out, &containers[i]);
	fputs("      volumes:\n        - name: " VOLUME "\n          emptyDir: {}\n", out);
}

/* What is there, and is lost by the patch, where the workload does not show it. */
static void
put_notes(const struct container *containers, size_t count, FILE *notes)
{
	for (size_t i = 0; i < count; i++) {
		if (*containers[i].preload)
			continue;
		fprintf(notes,
			"vmtrace: container %s: an LD_PRELOAD that its image sets%s is not seen "
			"here, and is replaced\n",
			containers[i].name, containers[i].has_sources ? " or envFrom brings" : "");
	}
}

int
vmt_pod_patch_write(const struct vmt_pod_patch *patch, FILE *in, FILE *out, struct vmt_err *err)
{
	json_t *root = read_input(in, err);
	json_t *pod = root ? find_pod(root, err) : NULL;
	struct container *containers = NULL;
	size_t count;

	if (pod)
		containers = find_containers(patch, pod, &count, err);
	if (containers)
		put_patch(patch, containers, count, out);
	if (containers && patch->notes)
		put_notes(containers, count, patch->notes);
	free(containers);
	json_decref(root);
	return containers ? 0 : -EBADMSG;
}
