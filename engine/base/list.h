/* list.h - intrusive doubly linked list. The node is a field of what is linked; nothing is
 * allocated. A node that is in no list points to itself, so unlinking twice is harmless. Not
 * thread-safe. */
#ifndef KR_BASE_LIST_H
#define KR_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define LIST_EACH(it, head)             for (struct list *it = (head)->next; it != (head); it = it->next)
/* The current node may be unlinked inside the loop. */
#define LIST_EACH_SAFE(it, head)                                                                   \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                  \
	        it = it##_next, it##_next = it->next)

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_push(struct list *head, struct list *n) /* at the end */
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}
static inline void list_unlink(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}
/* Everything in `from`, in its order, behind what is in `to`. */
static inline void list_move_all(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}
static inline struct list *list_pop(struct list *head) /* from the front; NULL when empty */
{
	struct list *n = head->next;
	if (n == head)
		return NULL;
	list_unlink(n);
	return n;
}

#endif
