//! What a blueprint chooses for values that Mixpanel would change or refuse: its `checks`.

use super::ast::words;

/// What becomes of values that Mixpanel would change or refuse, where there is a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checks {
    pub(crate) time_ahead: TimeAhead,
    pub(crate) time_before: TimeBefore,
    pub(crate) wide_values: WideValues,
    pub(crate) nobody: Nobody,
    pub(crate) blank_names: BlankNames,
    pub(crate) idle_rows: IdleRows,
    pub(crate) group_ids: GroupIds,
    pub(crate) deep_values: DeepValues,
}

words! {
    /// What becomes of a time that lies too far ahead of its receipt.
    #[derive(Default)]
    TimeAhead {
        /// It becomes the time of the receipt.
        #[default]
        Receipt = "receipt",
        /// It is sent as it is.
        Keep = "keep",
    }
}

words! {
    /// What becomes of a time before the first that Mixpanel takes.
    #[derive(Default)]
    TimeBefore {
        /// The event is set aside.
        #[default]
        SetAside = "set_aside",
        /// It is sent as it is.
        Keep = "keep",
    }
}

words! {
    /// What becomes of an event for which no distinct id comes out.
    #[derive(Default)]
    Nobody {
        /// It is set aside.
        #[default]
        SetAside = "set_aside",
        /// It is sent with an empty distinct id: Mixpanel takes it as nobody's.
        Empty = "empty",
        /// It is sent without one.
        Absent = "absent",
    }
}

words! {
    /// What becomes of an event whose name is nothing but blanks.
    #[derive(Default)]
    BlankNames {
        /// It is set aside.
        #[default]
        SetAside = "set_aside",
        /// It is sent as it is.
        Keep = "keep",
    }
}

words! {
    /// What becomes of rows that change nothing: an id joined with itself, an operator without members.
    #[derive(Default)]
    IdleRows {
        /// They are left out.
        #[default]
        LeaveOut = "leave_out",
        /// They are sent.
        Send = "send",
    }
}

words! {
    /// What becomes of group ids that are numbers.
    #[derive(Default)]
    GroupIds {
        /// They become text, which is what Mixpanel takes.
        #[default]
        Text = "text",
        /// They are sent as they are.
        Keep = "keep",
    }
}

words! {
    /// What becomes of lists and objects that are nested deeper than Mixpanel takes.
    #[derive(Default)]
    DeepValues {
        /// They become their JSON as text, from the level on that is too deep.
        #[default]
        Text = "text",
        /// They are sent as they are.
        Keep = "keep",
    }
}

words! {
    /// What becomes of lists and objects with more members than Mixpanel takes.
    #[derive(Default)]
    WideValues {
        /// They become their JSON as text.
        #[default]
        Text = "text",
        /// The event is set aside; a list with just as many members as are too many is sent.
        SetAside = "set_aside",
    }
}
