"""The clients of the conformance tests, and which tests are run with which."""

from support.battery import Client, GoClient, JavaClient

JAVA = JavaClient("5.5.0", "JSON")
GO = GoClient()
CLIENTS: list[Client] = [JAVA, JavaClient("5.5.0", "ROCKETMQ"), JavaClient("4.9.8", "JSON"), GO]

# What the short form runs with every other Java client than the first.
BRIEF = {
    "test_synchronous_sends_come_back_field_by_field_and_in_order",
    "test_a_concurrent_push_consumer_gets_every_message_once_and_commits_what_it_got",
    "test_an_orderly_push_consumer_gets_each_queue_in_order_and_waits_where_it_is_held_up",
    "test_a_subscribed_lite_pull_consumer_gets_every_message_once_and_commits_what_it_got",
}

# What the Go client can do: the short form runs it too, for it is fast; and what takes longer, as it asks for routes
# every 30 s.
GO_BRIEF = {
    "test_synchronous_sends_come_back_field_by_field_and_in_order",
    "test_asynchronous_sends_come_back_field_by_field",
    "test_one_way_sends_arrive_although_nobody_answers",
    "test_a_batch_is_stored_as_single_messages_with_consecutive_offsets_and_ids_of_their_own",
    "test_the_first_send_to_an_unknown_topic_makes_it",
    "test_a_pull_at_the_end_waits_until_a_message_arrives",
    "test_the_bounds_of_a_queue_are_those_of_its_messages",
    "test_a_concurrent_push_consumer_gets_every_message_once_and_commits_what_it_got",
    "test_a_push_consumer_that_comes_back_goes_on_where_it_stopped",
    "test_a_push_consumer_by_tags_gets_those_and_passes_over_the_others",
    "test_an_orderly_push_consumer_gets_each_queue_in_order_and_waits_where_it_is_held_up",
    "test_a_broadcast_consumer_from_the_first_offset_gets_the_old_and_the_new",
    "test_a_broadcast_consumer_from_the_last_offset_gets_only_what_comes_after_it",
    "test_a_refused_message_comes_again_after_its_delay_and_then_lies_in_the_dead_letter_topic",
    "test_a_message_that_an_orderly_consumer_gives_up_lies_in_the_dead_letter_topic_and_the_queue_goes_on",
    "test_a_message_with_a_delay_level_comes_after_its_time_and_is_otherwise_the_same",
}
GO_LONG = {
    "test_nothing_a_producer_was_acknowledged_is_lost_when_the_master_is_killed",
    "test_a_push_consumer_gets_everything_acknowledged_although_the_master_is_killed",
}
