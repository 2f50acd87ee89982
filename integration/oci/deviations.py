"""Where a peer is known to do otherwise than the specification, or than runc whose command line
the callers of all of them expect. Names of tests, with or without their parameters."""

DEVIATIONS = {
    "crun": {
        # other words for the same failure, which not every caller knows
        "test_program_that_cannot_be_executed",
        "test_unknown_file_system_and_unknown_option",
        # options and environment
        "test_listen_fds",
        "test_user_and_groups",
        "test_user_that_is_no_number[-1]",
        "test_socket_without_terminal",
        "test_spec_for_a_user",
        # verbs
        "test_a_name_that_is_no_name",
        "test_kill_takes_every_spelling[term]",
        "test_kill_of_what_does_not_run",
        "test_delete_needs_a_stopped_container_or_force",
        "test_pause_and_resume",
        "test_list_in_every_form",
        "test_ps",
        "test_an_orphan_does_not_outlive_run",
        # mounts
        "test_later_option_wins",
        "test_recursive_flag[rnoatime-noatime]",
        "test_recursive_flag[rnodiratime-nodiratime]",
        "test_destination_through_a_link_stays_inside",
        "test_rootfs_propagation[slave-master:]",
        "test_proc_cannot_be_hidden",
        # a failing create leaves its cgroup behind
        "test_path_of_another_kind",
        "test_path_that_is_not_there",
        "test_idmap_without_any_mapping",
        "test_network_classes_have_no_place_in_v2",
        "test_unified_file_that_is_not_there",
        # no limit on reserved huge pages
        "test_limit_in_its_file",
        "test_huge_page_limit_holds",
        # the rest
        "test_joined_by_path[time]",
        "test_session_keyring_of_its_own",
        "test_order_state_and_pid",
        "test_failure_ends_start",
        "test_failure_of_poststop_is_a_warning",
        "test_console_socket",
        "test_foreground_does_not_lose_output",
        "test_what_is_not_listed_is_refused",
    },
}

# What a peer does as the specification lets it, though otherwise than the test wants it of us:
# other words in an error, another spelling of an option. No answer about a row of the checklist.
OTHER_WAYS = {}
