"""Where a peer is known to do otherwise than the specification, or than runc whose command line
the callers of all of them expect. Names of tests, with or without their parameters."""

DEVIATIONS = {
    "runc": {
        "test_every_word_of_the_specification_is_known[defaults]",
        # delegates through systemd only
        "test_delegation[True]",
        # values that are not refused
        *[f"test_value[{name}]" for name in """annotation-without-key errno-of-allow errno-of-kill
          leaf-weight metadata-without-listener network-priorities personality-flag realtime-period
          realtime-runtime rlimit-twice version-of-another-major version-that-is-none""".split()],
        # sets the interface down before it reads the addresses, which takes those of IPv6 away
        "test_moves_with_name_addresses_and_up",
        "test_a_user_namespace_owns_what_it_gets",
        # looks for a device with the name of the template
        "test_template_takes_the_next_free_number",
        # moves before it looks, and moves nothing back
        "test_name_that_the_container_has_already",
        "test_device_that_is_not_there",
        "test_a_failing_create_brings_it_back",
        # overlooks a READY=1 that is not the first line of its datagram
        *[f"test_notify_socket_of_{verb}" for verb in ("start", "run", "run_detached")],
    },
    "crun": {
        # other words for the same failure, which not every caller knows
        "test_unknown_file_system_and_unknown_option",
        "test_words_that_callers_match",
        # options and environment
        "test_listen_fds",
        "test_user_and_groups",
        "test_user_that_is_no_number[-1]",
        "test_socket_without_terminal",
        "test_spec_for_a_user",
        # verbs
        "test_a_name_that_is_no_name",
        "test_kill_takes_every_spelling[term]",
        "test_delete_of_an_unknown_container",
        "test_pause_and_resume",
        "test_list_in_every_form",
        "test_ps",
        "test_an_orphan_does_not_outlive_run",
        # mounts
        "test_later_option_wins",
        "test_recursive_flag[rnoatime-noatime]",
        "test_recursive_flag[rnodiratime-nodiratime]",
        "test_destination_through_a_link_stays_inside[False]",
        "test_rootfs_propagation[slave-master:]",
        "test_proc_cannot_be_hidden",
        # looks for a device with the name of the template, where the kernel has made one of it
        "test_template_takes_the_next_free_number",
        # a failing create loses the devices that it has moved, or was to move
        "test_name_that_the_container_has_already",
        "test_device_that_is_not_there",
        "test_a_failing_create_brings_it_back",
        # a process of `exec` lacks what the first one has
        "test_a_further_process_has_it_too",
        # without a cgroup `delete --force` ends nobody
        "test_force_ends_what_has_no_cgroup",
        # a failing create leaves its cgroup behind
        "test_path_of_another_kind",
        "test_path_that_is_not_there",
        "test_idmap_without_any_mapping",
        "test_network_classes_have_no_place_in_v2",
        "test_unified_file_that_is_not_there",
        # no limit on reserved huge pages
        "test_limit_in_its_file",
        "test_huge_page_limit_holds",
        # values that are not refused, words that are not known
        *[f"test_value[{name}]" for name in """annotation-without-key device-type env-without-value
          io-priority metadata-without-listener personality-flag propagation relative-cwd
          rlimit-twice timeout-of-zero version-of-another-major version-that-is-none""".split()],
        *[f"test_every_word_of_the_specification_is_known[{name}]" for name in """iversion loud
          noiversion nosymfollow ratime rnostrictatime rnosymfollow rsymfollow silent
          symfollow""".split()],
        "test_recursive_flag[rnosymfollow-nosymfollow]",
        "test_apparmor_profile_without_apparmor",
        "test_selinux_label_without_selinux[linux-mountLabel]",
        "test_mount_label_that_no_policy_knows", "test_message_queues_have_their_label",
        "test_without_a_process",
        "test_cgroup_that_does_not_fit",
        # what features does not say
        *[f"test_features_of_{name}" for name in "mount_options namespaces cgroup seccomp "
          "intel_rdt".split()],
        # the rest
        "test_delegation[False]",
        "test_cpu_affinity_of_a_further_process",
        "test_joined_by_path[time]",
        "test_session_keyring_of_its_own",
        "test_failure_ends_start",
        "test_failure_of_poststop_is_a_warning",
        "test_console_socket",
        "test_foreground_does_not_lose_output",
        "test_call_that_is_newer_than_the_profile",
    },
}

# What a peer does as the specification lets it, though otherwise than the test wants it of us:
# other words in an error, another spelling of an option. No answer about a row of the checklist.
OTHER_WAYS = {
    "runc": {"test_memory_of_version_1"},  # ignores both
    "crun": {"test_memory_of_version_1", "test_program_that_cannot_be_executed",
             "test_word_of_crun_alone",  # has them
             "test_update_by_options",  # takes no 16m
             "test_path_that_is_no_unit",  # makes a name of any path
             # refuses what cgroup v2 has no word for
             'test_limit_in_its_file[{"memory":{"limit":67108864,"kernel":1,"kernelTCP":1}}]',
             'test_limit_in_its_file[{"memory":{"limit":67108864,"useHierarchy":true}}]'},
}
