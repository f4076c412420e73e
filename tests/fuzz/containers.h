/*
 * containers.h - maps of each kind and a vector in a fuzzed program, beside models of them: a map
 * and a vector in containers.c, the others each in a file of its own
 */
#ifndef FUZZ_CONTAINERS_H
#define FUZZ_CONTAINERS_H

#include "program.h"

/* Before the threads begin; behind the last step of any. Without the first no step does a thing. */
void containers_begin(void);
void containers_end(void);
/* At rest, before and after what is checked. */
void cache_rest(void);
void cache_goes_on(void);
/* At rest: are they what the models say? Returns how many objects they are made of. */
size_t containers_check(void);

#define CONTAINER_STEPS \
	step_map_put, step_map_put, step_map_get, step_map_get, step_map_take, step_map_replace, \
	step_map_remove, step_map_each, step_map_clear, step_vec_push, step_vec_push, \
	step_vec_pop, step_vec_get, step_vec_set, step_vec_each

/* The maps that do not keep what is in them. */
#define LATER_CONTAINER_STEPS \
	step_map_create, step_weak_map_put, step_weak_map_put, step_weak_map_get, \
	step_weak_map_create, step_weak_map_remove, step_weak_map_each, step_weak_map_clear, \
	step_key_put, step_key_put, step_key_get, step_key_remove, step_key_each, \
	step_key_clear, step_cache_put, step_cache_put, step_cache_get, step_cache_remove
void later_containers_begin(void);

void step_map_put(int t, const struct step *s);
void step_map_get(int t, const struct step *s);
void step_map_take(int t, const struct step *s);
void step_map_replace(int t, const struct step *s);
void step_map_remove(int t, const struct step *s);
void step_map_create(int t, const struct step *s);
void step_map_each(int t, const struct step *s);
void step_map_clear(int t, const struct step *s);
void step_vec_push(int t, const struct step *s);
void step_vec_pop(int t, const struct step *s);
void step_vec_get(int t, const struct step *s);
void step_vec_set(int t, const struct step *s);
void step_vec_each(int t, const struct step *s);

void step_weak_map_put(int t, const struct step *s);
void step_weak_map_get(int t, const struct step *s);
void step_weak_map_create(int t, const struct step *s);
void step_weak_map_remove(int t, const struct step *s);
void step_weak_map_each(int t, const struct step *s);
void step_weak_map_clear(int t, const struct step *s);
void step_key_put(int t, const struct step *s);
void step_key_get(int t, const struct step *s);
void step_key_remove(int t, const struct step *s);
void step_key_each(int t, const struct step *s);
void step_key_clear(int t, const struct step *s);
void step_cache_put(int t, const struct step *s);
void step_cache_get(int t, const struct step *s);
void step_cache_remove(int t, const struct step *s);

/* Of each of these maps: before the first step, behind the last, at rest. */
void weakly_begin(void);
void weakly_end(void);
void weakly_check(void);
void keyed_begin(void);
void keyed_end(void);
void keyed_check(void);
/* Before that the model may not know what is there. Returns false while something is dying. */
bool keyed_rest(void);
void cache_begin(void);
void cache_end(void);

#endif
