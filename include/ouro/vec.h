/*
 * ouro/vec.h - growable arrays of references, used by any number of threads at once
 *
 * A vector is an object like any other: ouro_vec_new returns a reference, slots hold it, the last
 * release ends it, and with it the references to its elements. The collector goes through it, so an
 * element may refer to the vector it is in. An element is a strong reference, not NULL; there are
 * no holes: those from 0 to the size are there.
 *
 * What each operation does to one element takes place at one instant, beside any others. Getting,
 * setting and going through it take no lock and wait for nobody: elements do not move when the
 * vector grows. Pushing and popping, which change its size, take place one after the other, in an
 * order that agrees with what each of them, and who gets and sets meanwhile, sees: a vector that is
 * only pushed to and popped is a stack. A push or pop is a few instructions, during which the
 * others try again. Memory goes with the largest size there was, 8 bytes an element and some 400
 * for the vector; it goes back when the vector ends.
 *
 * @vec is borrowed everywhere, a counted reference; for NULL the answers are those for an empty
 * vector, or EINVAL. In a checked build a call stops the program if it is something else.
 * Blocks:  as any call; those that push also as ouro_new.
 * Runs:    where nothing is said, callbacks of the element that was there before, if its last
 *          reference goes.
 */
#ifndef OURO_VEC_H
#define OURO_VEC_H

#include "base.h"

OURO_BEGIN_DECLS

typedef struct ouro_vec ouro_vec;

/*
 * ouro_vec_new - make an empty vector
 * @capacity: so many elements there is memory for from the beginning; 0 is fine
 *
 * Return:  new reference; NULL with errno ENOMEM. It is released with ouro_release.
 * Blocks:  as ouro_new.
 * Runs:    none.
 */
OURO_API ouro_vec *ouro_vec_new(size_t capacity) __attribute__((warn_unused_result));

/*
 * ouro_vec_get - the element at @i
 *
 * Return:  new reference; NULL if there is none.
 * Blocks:  as ouro_load.
 * Runs:    as ouro_load.
 */
OURO_API void *ouro_vec_get(ouro_vec *vec, size_t i) __attribute__((warn_unused_result));

/*
 * ouro_vec_set - set an element that is there
 * @value: borrowed
 *
 * It needs no memory.
 * Return:  0; ERANGE (there is no element at @i); EINVAL (a pointer is NULL).
 */
OURO_API int ouro_vec_set(ouro_vec *vec, size_t i, void *value);

/*
 * ouro_vec_compare_set - set an element if it is the expected one
 * @expected: borrowed
 * @value:    borrowed
 *
 * Return:  0; EAGAIN (another element is there); ERANGE (none is); EINVAL.
 */
OURO_API int ouro_vec_compare_set(ouro_vec *vec, size_t i, const void *expected, void *value);

/*
 * ouro_vec_push - add an element at the end
 * @value: borrowed
 * @i:     receives where it is; may be NULL
 *
 * Return:  0; EINVAL (a pointer is NULL); ENOMEM, and nothing has changed.
 * Runs:    none.
 */
OURO_API int ouro_vec_push(ouro_vec *vec, void *value, size_t *i);

/*
 * ouro_vec_pop - remove the last element
 *
 * Return:  new reference: the vector's to the element, now the caller's; NULL if there is none. Of
 *          several threads that pop one element, one gets it.
 * Runs:    none.
 */
OURO_API void *ouro_vec_pop(ouro_vec *vec) __attribute__((warn_unused_result));

/*
 * ouro_vec_size - how many elements there are
 *
 * Return:  the number, exact when nobody else pushes or pops.
 * Blocks:  no.
 * Runs:    none.
 */
OURO_API size_t ouro_vec_size(const ouro_vec *vec);

/*
 * ouro_vec_reserve - see to it that there is memory for @n elements, so that no push fails
 *
 * Return:  0; EINVAL; ENOMEM, and the elements are as they were.
 * Blocks:  as ouro_new.
 * Runs:    none.
 */
OURO_API int ouro_vec_reserve(ouro_vec *vec, size_t n);

/*
 * ouro_vec_clear - pop as many elements as there were when it was called
 *
 * Others may push meanwhile: then these are among them.
 * Runs:    callbacks of the elements whose last references go.
 */
OURO_API void ouro_vec_clear(ouro_vec *vec);

/* It may call anything, also on this vector. @value: borrowed for the call. */
typedef bool (*ouro_vec_visitor)(size_t i, void *value, void *arg);

/*
 * ouro_vec_each - call fn(i, value, arg) for each element, from 0 on, until one is not there
 *
 * An element that is there throughout is met exactly once, as what it is at that moment.
 * Return:  false if fn returned false, which ends it.
 * Blocks:  as any call, and as long as fn.
 * Runs:    fn, outside every pause and with no lock held; and callbacks of elements that others
 *          replace meanwhile.
 */
OURO_API bool ouro_vec_each(ouro_vec *vec, ouro_vec_visitor fn, void *arg);

OURO_END_DECLS

#endif
