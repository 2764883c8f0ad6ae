"""The pattern matcher, against the examples and rules of AWS's documentation and of its open-source Ruler."""

import datetime as dt
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.pattern import (
    MAX_CLAUSES,
    MAX_DEPTH,
    MAX_FAULTS,
    Clause,
    Pattern,
    PatternError,
    compile_pattern,
    find_pattern_faults,
)
from shared.domain.pattern_operators import OPERATORS

ALL = "all clauses matched"

# The sample event of the Ruler's README, most of whose patterns are in the table below.
EC2: dict[str, Any] = {
    "version": "0",
    "detail-type": "EC2 Instance State-change Notification",
    "source": "aws.ec2",
    "account": "012345679012",
    "time": "2017-10-02T16:24:49Z",
    "region": "us-east-1",
    "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000"],
    "detail": {
        "c-count": 5,
        "d-count": 3,
        "x-limit": 301.8,
        "source-ip": "10.0.0.33",
        "instance-id": "i-000000aaaaaa00000",
        "state": "running",
    },
}
EMPLOYEES = [
    {"firstName": "John", "lastName": "Doe"},
    {"firstName": "Anna", "lastName": "Smith"},
    {"firstName": "Peter", "lastName": "Jones"},
]
ANNA_JONES = {"employees": {"firstName": ["Anna"], "lastName": ["Jones"]}}
METRIC = {
    "source": ["aws.cloudwatch"],
    "$or": [
        {"metricName": ["CPUUtilization", "ReadLatency"]},
        {"metricType": ["MetricType"], "namespace": ["AWS/EC2", "AWS/ES"]},
        {"scope": ["Service"]},
    ],
}
PARALLEL = {
    "$or": [{"metricName": ["CPU"]}, {"namespace": ["AWS/EC2"]}],
    "detail": {"$or": [{"source": ["aws.cloudwatch"]}, {"detail-type": ["Alarm"]}]},
}

Case = tuple[Mapping[str, object], Mapping[str, object], str]

LITERALS: list[Case] = [
    ({"source": ["aws.ec2"]}, EC2, ALL),
    ({"source": ["aws.fargate"]}, EC2, 'source is "aws.ec2", wants "aws.fargate"'),
    ({"source": ["aws.fargate", "aws.ec2"]}, EC2, ALL),
    (
        {"source": ["aws.s3", "aws.fargate"]},
        EC2,
        'source is "aws.ec2", wants one of "aws.s3", "aws.fargate"',
    ),
    ({"source": ["AWS.EC2"]}, EC2, 'source is "aws.ec2", wants "AWS.EC2"'),
    (
        {"source": ["aws.ec2"], "detail-type": [EC2["detail-type"]], "detail": {"state": ["running"]}},
        EC2,
        ALL,
    ),
    ({"detail": {"state": ["initializing", "running"]}}, EC2, ALL),
    ({"detail": {"state": ["terminated"]}}, EC2, 'detail.state is "running", wants "terminated"'),
    ({"source": ["aws.s3"], "region": ["eu"]}, EC2, 'source is "aws.ec2", wants "aws.s3"'),
    ({"region": ["eu"], "source": ["aws.s3"]}, EC2, 'region is "us-east-1", wants "eu"'),
    ({"region": ["us-east-1"], "source": ["aws.s3"]}, EC2, 'source is "aws.ec2", wants "aws.s3"'),
    ({"label": ["bug"]}, EC2, 'label is missing, wants "bug"'),
    ({"source": {"name": ["x"]}}, EC2, 'source.name is missing, wants "x"'),
    ({"detail": ["running"]}, EC2, 'detail is an object, wants "running"'),
    ({"detail": {"c-count": [5]}}, EC2, ALL),
    ({"detail": {"c-count": [5.0]}}, EC2, ALL),
    ({"detail": {"x-limit": [3.018e2]}}, EC2, ALL),
    ({"detail": {"c-count": ["5"]}}, EC2, 'detail.c-count is 5, wants "5"'),
    ({"detail": {"c-count": [6, 7.5]}}, EC2, "detail.c-count is 5, wants one of 6, 7.5"),
    ({"account": [12345679012]}, EC2, 'account is "012345679012", wants 12345679012'),
    ({"id": [99999999999]}, {"id": 99999999999}, ALL),
    ({"id": [9007199254740993]}, {"id": 9007199254740992}, "id is 9007199254740992, wants 9007199254740993"),
    ({"n": [1]}, {"n": True}, "n is true, wants 1"),
    ({"n": [0]}, {"n": False}, "n is false, wants 0"),
    ({"n": [True]}, {"n": 1}, "n is 1, wants true"),
    ({"n": [True]}, {"n": 1.0}, "n is 1.0, wants true"),
    ({"n": [False]}, {"n": None}, "n is null, wants false"),
    ({"n": [1, True]}, {"n": True}, ALL),
    ({"n": [1]}, {"n": math.nan}, "n is NaN, wants 1"),
    ({"draft": [False]}, {"draft": False}, ALL),
    ({"draft": [False]}, {"draft": True}, "draft is true, wants false"),
    ({"draft": [False]}, {"draft": "false"}, 'draft is "false", wants false'),
    (
        {"pull_request": {"draft": [False]}},
        {"pull_request": {"draft": True}},
        "pull_request.draft is true, wants false",
    ),
    # eb-event-patterns-null-values.html
    ({"detail": {"eventVersion": [""]}}, {"detail": {"eventVersion": "", "responseElements": None}}, ALL),
    ({"detail": {"responseElements": [None]}}, {"detail": {"responseElements": None}}, ALL),
    ({"v": [""]}, {"v": None}, 'v is null, wants ""'),
    ({"v": [None]}, {"v": ""}, 'v is "", wants null'),
    ({"v": [None]}, {}, "v is missing, wants null"),
    ({"v": [None, "x"]}, {"v": None}, ALL),
    ({"a.b": ["x"]}, {"a.b": "x"}, ALL),
    ({"a.b": ["x"]}, {"a": {"b": "x"}}, 'a.b is missing, wants "x"'),
    ({}, EC2, "no clauses"),
    ({}, {}, "no clauses"),
]

TEXTS: list[Case] = [
    ({"time": [{"prefix": "2017-10-02"}]}, EC2, ALL),
    ({"time": [{"prefix": "2018"}]}, EC2, 'time is "2017-10-02T16:24:49Z", wants prefix "2018"'),
    ({"time": [{"prefix": ""}]}, EC2, ALL),
    ({"time": [{"prefix": ""}]}, {"time": 5}, 'time is 5, wants prefix ""'),
    ({"time": [{"prefix": "1"}]}, {"time": 1}, 'time is 1, wants prefix "1"'),
    ({"service": [{"prefix": {"equals-ignore-case": "EventB"}}]}, {"service": "eventbridge"}, ALL),
    (
        {"service": [{"prefix": {"equals-ignore-case": "EventB"}}]},
        {"service": "myeventb"},
        'service is "myeventb", wants prefix "EventB" ignoring case',
    ),
    (
        {"service": [{"prefix": {"equals-ignore-case": "x"}}]},
        {"service": None},
        'service is null, wants prefix "x" ignoring case',
    ),
    ({"source": [{"suffix": "ec2"}]}, EC2, ALL),
    ({"FileName": [{"suffix": ".png"}]}, {"FileName": "a.PNG"}, 'FileName is "a.PNG", wants suffix ".png"'),
    ({"service": [{"suffix": {"equals-ignore-case": "tBridge"}}]}, {"service": "EVENTBRIDGE"}, ALL),
    (
        {"service": [{"suffix": {"equals-ignore-case": "tBridge"}}]},
        {"service": "EventBridges"},
        'service is "EventBridges", wants suffix "tBridge" ignoring case',
    ),
    ({"source": [{"equals-ignore-case": "AWS.EC2"}]}, EC2, ALL),
    ({"Name": [{"equals-ignore-case": "alice"}]}, {"Name": "Alice"}, ALL),
    (
        {"Name": [{"equals-ignore-case": "alice"}]},
        {"Name": "Alicia"},
        'Name is "Alicia", wants "alice" ignoring case',
    ),
    ({"Name": [{"equals-ignore-case": "ΟΔΌΣ"}]}, {"Name": "οδός"}, ALL),
    ({"Name": [{"equals-ignore-case": "true"}]}, {"Name": True}, 'Name is true, wants "true" ignoring case'),
    ({"FileName": [{"wildcard": "dir/*.png"}]}, {"FileName": "dir/sub/a.png"}, ALL),
    (
        {"FileName": [{"wildcard": "dir/*.png"}]},
        {"FileName": "dir/a.jpg"},
        'FileName is "dir/a.jpg", wants wildcard "dir/*.png"',
    ),
    ({"source": [{"wildcard": "Simple*Service"}]}, {"source": "SimpleService"}, ALL),
    ({"source": [{"wildcard": "*"}]}, {"source": ""}, ALL),
    ({"source": [{"wildcard": "*"}]}, {"source": 1}, 'source is 1, wants wildcard "*"'),
    ({"source": [{"wildcard": "*"}]}, {}, 'source is missing, wants wildcard "*"'),
    ({"source": [{"wildcard": "plain"}]}, {"source": "plain"}, ALL),
    (
        {"source": [{"wildcard": "plain"}]},
        {"source": "plainer"},
        'source is "plainer", wants wildcard "plain"',
    ),
    ({"v": [{"wildcard": ""}]}, {"v": ""}, ALL),
    ({"v": [{"wildcard": ""}]}, {"v": "a"}, 'v is "a", wants wildcard ""'),
    ({"v": [{"wildcard": "ab*ba"}]}, {"v": "aba"}, 'v is "aba", wants wildcard "ab*ba"'),
    ({"v": [{"wildcard": "a*a*a"}]}, {"v": "aa"}, 'v is "aa", wants wildcard "a*a*a"'),
    ({"v": [{"wildcard": "a*b*a"}]}, {"v": "a-b-a"}, ALL),
    ({"v": [{"wildcard": "*ab*ab"}]}, {"v": "abab"}, ALL),
    ({"v": [{"wildcard": "*ab*ab"}]}, {"v": "cab"}, 'v is "cab", wants wildcard "*ab*ab"'),
    ({"v": [{"wildcard": "*ab*b"}]}, {"v": "cab"}, 'v is "cab", wants wildcard "*ab*b"'),
    ({"v": [{"wildcard": "ab*b*c"}]}, {"v": "abxc"}, 'v is "abxc", wants wildcard "ab*b*c"'),
    ({"v": [{"wildcard": "*a*a*"}]}, {"v": "xay"}, 'v is "xay", wants wildcard "*a*a*"'),
    ({"v": [{"wildcard": "a*\n*b"}]}, {"v": "a\r\nb"}, ALL),
    ({"v": [{"wildcard": r"5 \* *"}]}, {"v": "5 * 3"}, ALL),
    ({"v": [{"wildcard": r"5 \* *"}]}, {"v": "5 x 3"}, r'v is "5 x 3", wants wildcard "5 \\* *"'),
    ({"v": [{"wildcard": r"C:\\*"}]}, {"v": "C:\\temp"}, ALL),
    ({"v": [{"wildcard": r"C:\\*"}]}, {"v": "C:temp"}, r'v is "C:temp", wants wildcard "C:\\\\*"'),
    ({"v": [{"wildcard": r"\\\*"}]}, {"v": r"\*"}, ALL),
    ({"v": [{"wildcard": "a?[b]"}]}, {"v": "axb"}, 'v is "axb", wants wildcard "a?[b]"'),
    (
        {"check_run": {"name": [{"wildcard": "*test*"}, {"wildcard": "*lint*"}]}},
        {"check_run": {"name": "build"}},
        'check_run.name is "build", wants wildcard "*test*" or wildcard "*lint*"',
    ),
    (
        {"check_run": {"name": [{"wildcard": "*test*"}, {"wildcard": "*lint*"}]}},
        {"check_run": {"name": "eslint"}},
        ALL,
    ),
    (
        {"check_run": {"conclusion": ["failure", "timed_out"]}},
        {"check_run": {"conclusion": "success"}},
        'check_run.conclusion is "success", wants one of "failure", "timed_out"',
    ),
    ({"v": ["a", {"suffix": "z"}, "b"]}, {"v": "xyz"}, ALL),
    ({"v": ["a", {"suffix": "z"}, "b"]}, {"v": "c"}, 'v is "c", wants one of "a", "b" or suffix "z"'),
]

ANYTHING_BUT: list[Case] = [
    ({"detail": {"state": [{"anything-but": "initializing"}]}}, EC2, ALL),
    (
        {"detail": {"state": [{"anything-but": "running"}]}},
        EC2,
        'detail.state is "running", wants anything but "running"',
    ),
    ({"detail": {"x-limit": [{"anything-but": 123}]}}, EC2, ALL),
    (
        {"detail": {"x-limit": [{"anything-but": 3.018e2}]}},
        EC2,
        "detail.x-limit is 301.8, wants anything but 301.8",
    ),
    ({"detail": {"state": [{"anything-but": ["stopped", "overloaded"]}]}}, EC2, ALL),
    (
        {"state": [{"anything-but": ["stopped", "overloaded"]}]},
        {"state": "overloaded"},
        'state is "overloaded", wants anything but "stopped", "overloaded"',
    ),
    ({"detail": {"x-limit": [{"anything-but": [100, 200, 300]}]}}, EC2, ALL),
    (
        {"x-limit": [{"anything-but": [100, 200, 300]}]},
        {"x-limit": 200.0},
        "x-limit is 200.0, wants anything but 100, 200, 300",
    ),
    ({"v": [{"anything-but": "x"}]}, {"v": None}, ALL),
    ({"v": [{"anything-but": "x"}]}, {"v": False}, ALL),
    ({"v": [{"anything-but": "1"}]}, {"v": 1}, ALL),
    ({"v": [{"anything-but": 1}]}, {"v": "1"}, ALL),
    ({"v": [{"anything-but": 1}]}, {"v": True}, ALL),
    ({"v": [{"anything-but": 1}]}, {"v": 1}, "v is 1, wants anything but 1"),
    ({"v": [{"anything-but": "x"}]}, {}, 'v is missing, wants anything but "x"'),
    ({"v": [{"anything-but": "x"}]}, {"v": {}}, 'v is an object, wants anything but "x"'),
    ({"v": [{"anything-but": "x"}]}, {"v": []}, 'v is [], wants anything but "x"'),
    ({"Region": [{"anything-but": {"prefix": "us-"}}]}, {"Region": "eu-west-1"}, ALL),
    (
        {"Region": [{"anything-but": {"prefix": "us-"}}]},
        {"Region": "us-east-1"},
        'Region is "us-east-1", wants anything but prefix "us-"',
    ),
    ({"Region": [{"anything-but": {"prefix": ["us-", "eu-"]}}]}, {"Region": "ap-south-1"}, ALL),
    (
        {"Region": [{"anything-but": {"prefix": ["us-", "eu-"]}}]},
        {"Region": "eu-west-1"},
        'Region is "eu-west-1", wants anything but prefix "us-", "eu-"',
    ),
    ({"Region": [{"anything-but": {"prefix": "us-"}}]}, {"Region": 5}, ALL),
    (
        {"FileName": [{"anything-but": {"suffix": ".png"}}]},
        {"FileName": "a.png"},
        'FileName is "a.png", wants anything but suffix ".png"',
    ),
    ({"FileName": [{"anything-but": {"suffix": [".png", ".jpg"]}}]}, {"FileName": "a.gif"}, ALL),
    (
        {"FileName": [{"anything-but": {"suffix": [".png", ".jpg"]}}]},
        {"FileName": "a.jpg"},
        'FileName is "a.jpg", wants anything but suffix ".png", ".jpg"',
    ),
    (
        {"state": [{"anything-but": {"equals-ignore-case": "initializing"}}]},
        {"state": "INITIALIZING"},
        'state is "INITIALIZING", wants anything but equals-ignore-case "initializing"',
    ),
    (
        {"state": [{"anything-but": {"equals-ignore-case": ["initializing", "stopped"]}}]},
        {"state": "Running"},
        ALL,
    ),
    (
        {"state": [{"anything-but": {"equals-ignore-case": ["initializing", "stopped"]}}]},
        {"state": "Stopped"},
        'state is "Stopped", wants anything but equals-ignore-case "initializing", "stopped"',
    ),
    ({"FilePath": [{"anything-but": {"wildcard": "*/lib/*"}}]}, {"FilePath": "/usr/bin/x"}, ALL),
    (
        {"FilePath": [{"anything-but": {"wildcard": "*/lib/*"}}]},
        {"FilePath": "/usr/lib/x"},
        'FilePath is "/usr/lib/x", wants anything but wildcard "*/lib/*"',
    ),
    (
        {"FilePath": [{"anything-but": {"wildcard": ["*/lib/*", "*/bin/*"]}}]},
        {"FilePath": "/usr/bin/x"},
        'FilePath is "/usr/bin/x", wants anything but wildcard "*/lib/*", "*/bin/*"',
    ),
    # Two operators in a list are alternatives, so that together these exclude nothing.
    ({"v": [{"anything-but": "a"}, {"anything-but": "b"}]}, {"v": "a"}, ALL),
    # In an array one other element is enough.
    ({"v": [{"anything-but": "a"}]}, {"v": ["a", "b"]}, ALL),
    ({"v": [{"anything-but": "a"}]}, {"v": ["a", "a"]}, 'v is ["a", "a"], wants anything but "a"'),
    (
        {"v": [{"anything-but": ["a", "b"]}]},
        {"v": ["a", "b"]},
        'v is ["a", "b"], wants anything but "a", "b"',
    ),
    ({"v": [{"anything-but": {"prefix": "a"}}]}, {"v": ["ab", "ba"]}, ALL),
]

NUMERIC: list[Case] = [
    ({"detail": {"c-count": [{"numeric": [">", 0, "<=", 5]}]}}, EC2, ALL),
    ({"detail": {"d-count": [{"numeric": ["<", 10]}]}}, EC2, ALL),
    ({"detail": {"x-limit": [{"numeric": ["=", 3.018e2]}]}}, EC2, ALL),
    ({"Price": [{"numeric": ["=", 100]}]}, {"Price": 100.0}, ALL),
    ({"Price": [{"numeric": ["=", 100]}]}, {"Price": 100.5}, "Price is 100.5, wants numeric = 100"),
    ({"Price": [{"numeric": [">", 10, "<=", 20]}]}, {"Price": 20}, ALL),
    (
        {"Price": [{"numeric": [">", 10, "<=", 20]}]},
        {"Price": 10},
        "Price is 10, wants numeric > 10 and <= 20",
    ),
    ({"Price": [{"numeric": [">=", 10, "<", 20]}]}, {"Price": 10}, ALL),
    (
        {"Price": [{"numeric": [">=", 10, "<", 20]}]},
        {"Price": 20},
        "Price is 20, wants numeric >= 10 and < 20",
    ),
    ({"Price": [{"numeric": [">", -1.5]}]}, {"Price": -1}, ALL),
    ({"Price": [{"numeric": ["<=", 0]}]}, {"Price": 1e-9}, "Price is 1e-09, wants numeric <= 0"),
    ({"Price": [{"numeric": [">", 5]}]}, {"Price": "6"}, 'Price is "6", wants numeric > 5'),
    ({"Price": [{"numeric": [">=", 0]}]}, {"Price": True}, "Price is true, wants numeric >= 0"),
    ({"Price": [{"numeric": [">=", 0]}]}, {"Price": None}, "Price is null, wants numeric >= 0"),
    ({"Price": [{"numeric": [">=", 0]}]}, {}, "Price is missing, wants numeric >= 0"),
    ({"Price": [{"numeric": [">=", 0]}]}, {"Price": math.nan}, "Price is NaN, wants numeric >= 0"),
    ({"Price": [{"numeric": [">", 5e9]}]}, {"Price": 10**400}, ALL),
    ({"Price": [{"numeric": [">", 5]}]}, {"Price": [1, 9]}, ALL),
    # Both bounds must hold for the same element.
    (
        {"Price": [{"numeric": [">", 2, "<", 4]}]},
        {"Price": [1, 5]},
        "Price is [1, 5], wants numeric > 2 and < 4",
    ),
]

EXISTS: list[Case] = [
    ({"detail": {"c-count": [{"exists": True}]}}, EC2, ALL),
    ({"label": [{"exists": True}]}, {}, "label is missing, wants exists"),
    ({"label": [{"exists": True}]}, {"label": None}, ALL),
    ({"label": [{"exists": True}]}, {"label": False}, ALL),
    ({"label": [{"exists": False}]}, {}, ALL),
    ({"label": [{"exists": False}]}, {"label": None}, "label is null, wants missing"),
    ({"label": [{"exists": False}]}, {"label": "bug"}, 'label is "bug", wants missing'),
    # exists works on leaves only: the Ruler's README, "Exists matching".
    ({"detail": {"c-count": [{"exists": False}]}}, {"detail": {"state": ["running"]}}, ALL),
    ({"detail": {"c-count": [{"exists": False}]}}, {"detail": {"c-count": {"c1": 100}}}, ALL),
    (
        {"detail": {"c-count": [{"exists": True}]}},
        {"detail": {"c-count": {"c1": 100}}},
        "detail.c-count is an object, wants exists",
    ),
    ({"labels": [{"exists": True}]}, {"labels": []}, "labels is [], wants exists"),
    ({"labels": [{"exists": False}]}, {"labels": []}, ALL),
    (
        {"labels": [{"exists": True}]},
        {"labels": [[]]},
        "labels is an array without plain values, wants exists",
    ),
    (
        {"labels": [{"exists": True}]},
        {"labels": [{"name": "bug"}]},
        "labels is an array without plain values, wants exists",
    ),
    ({"labels": [{"exists": True}]}, {"labels": ["bug"]}, ALL),
    ({"labels": [{"exists": False}]}, {"labels": ["bug"]}, 'labels is ["bug"], wants missing'),
    ({"a": {"b": {"c": [{"exists": False}]}}}, {}, ALL),
    ({"a": {"b": {"c": [{"exists": False}]}}}, {"a": "text"}, ALL),
    ({"a": {"b": [{"exists": False}]}}, {"a": []}, ALL),
    ({"v": [{"exists": False}, "x"]}, {"v": "x"}, ALL),
    ({"v": [{"exists": False}, "x"]}, {"v": "y"}, 'v is "y", wants "x" or missing'),
    ({"v": [{"exists": False}, "x"]}, {}, ALL),
]

CIDR: list[Case] = [
    ({"detail": {"source-ip": [{"cidr": "10.0.0.0/24"}]}}, EC2, ALL),
    (
        {"detail": {"source-ip": [{"cidr": "10.0.1.0/24"}]}},
        EC2,
        'detail.source-ip is "10.0.0.33", wants cidr 10.0.1.0/24',
    ),
    ({"ip": [{"cidr": "10.0.0.0/24"}]}, {"ip": "10.0.0.255"}, ALL),
    ({"ip": [{"cidr": "10.0.0.0/24"}]}, {"ip": "10.0.1.0"}, 'ip is "10.0.1.0", wants cidr 10.0.0.0/24'),
    ({"ip": [{"cidr": "0.0.0.0/0"}]}, {"ip": "8.8.8.8"}, ALL),
    ({"ip": [{"cidr": "0.0.0.0/0"}]}, {"ip": "::1"}, 'ip is "::1", wants cidr 0.0.0.0/0'),
    ({"ip": [{"cidr": "2001:db8::/32"}]}, {"ip": "2001:0DB8:0:0::7"}, ALL),
    (
        {"ip": [{"cidr": "2001:db8::/32"}]},
        {"ip": "2001:db9::7"},
        'ip is "2001:db9::7", wants cidr 2001:db8::/32',
    ),
    (
        {"ip": [{"cidr": "10.0.0.0/24"}]},
        {"ip": "not an address"},
        'ip is "not an address", wants cidr 10.0.0.0/24',
    ),
    ({"ip": [{"cidr": "10.0.0.0/8"}]}, {"ip": 167772161}, "ip is 167772161, wants cidr 10.0.0.0/8"),
    ({"ip": [{"cidr": "10.0.0.0/8"}]}, {"ip": True}, "ip is true, wants cidr 10.0.0.0/8"),
    ({"ip": [{"cidr": "10.0.0.0/8"}]}, {"ip": ["192.168.0.1", "10.1.1.1"]}, ALL),
]

ARRAYS: list[Case] = [
    # eb-event-patterns-arrays.html
    (
        {"resources": ["arn:i-1", "arn:i-2", "arn:i-3"]},
        {"resources": ["arn:autoscaling", "arn:i-1"]},
        ALL,
    ),
    (
        {"resources": ["arn:i-1", "arn:i-2"]},
        {"resources": ["arn:autoscaling", "arn:i-3"]},
        'resources is ["arn:autoscaling", "arn:i-3"], wants one of "arn:i-1", "arn:i-2"',
    ),
    ({"v": ["x"]}, {"v": [[["x"]]]}, ALL),
    ({"v": ["x"]}, {"v": [[1, ["y"]], None]}, 'v is [1, "y", null], wants "x"'),
    ({"v": [None]}, {"v": ["x", None]}, ALL),
    ({"v": ["x"]}, {"v": [{"v": "x"}, "y"]}, 'v is ["y"], wants "x"'),
    ({"v": [{"prefix": "feat/"}]}, {"v": ["fix/a", "feat/b"]}, ALL),
    # The Ruler's README, "JSON Array Matching".
    ({"employees": {"firstName": ["Anna"]}}, {"employees": EMPLOYEES}, ALL),
    ({"employees": {"firstName": ["Anna"]}}, {"employees": [EMPLOYEES[:2], EMPLOYEES[2:]]}, ALL),
    ({"employees": {"firstName": ["Anna"], "lastName": ["Smith"]}}, {"employees": EMPLOYEES}, ALL),
    (
        ANNA_JONES,
        {"employees": EMPLOYEES},
        'employees.lastName is "Smith" in the closest of 3 elements, wants "Jones"',
    ),
    (
        {"employees": {"firstName": ["Mary"]}},
        {"employees": EMPLOYEES},
        'employees.firstName is ["John", "Anna", "Peter"], wants "Mary"',
    ),
    (
        {"employees": {"firstName": ["Mary"]}},
        {"employees": EMPLOYEES[:1]},
        'employees.firstName is "John", wants "Mary"',
    ),
    (
        {"employees": {"firstName": ["Mary"]}},
        {"employees": []},
        'employees.firstName is missing, wants "Mary"',
    ),
    (
        {"employees": {"firstName": ["Mary"]}},
        {"employees": ["Mary"]},
        'employees.firstName is missing, wants "Mary"',
    ),
    ({"employees": {"age": [3]}}, {"employees": EMPLOYEES}, "employees.age is missing, wants 3"),
    ({"employees": {"firstName": ["Anna"]}}, {"employees": [1, None, EMPLOYEES[1]]}, ALL),
    (
        {"employees": {"firstName": ["Anna"], "lastName": [{"exists": False}]}},
        {"employees": [{"firstName": "Anna"}, {"firstName": "John", "lastName": "Doe"}]},
        ALL,
    ),
    (
        {"pull_request": {"labels": {"name": ["ci"]}, "draft": [False]}},
        {"pull_request": {"labels": [{"name": "bug"}, {"id": 7}, {"name": ["docs", 1]}], "draft": False}},
        'pull_request.labels.name is ["bug", "docs", 1], wants "ci"',
    ),
    (
        {"a": {"b": {"c": ["x"], "d": ["y"]}, "e": ["z"]}},
        {"a": [{"b": [{"c": "x"}, {"d": "y"}], "e": "z"}, {"b": {"c": "x", "d": "y"}}]},
        'a.b.d is missing in the closest of 2 elements, wants "y"',
    ),
    (
        {"a": {"b": {"c": ["x"], "d": ["y"]}, "e": ["z"]}},
        {"a": [{"b": [{"c": "x"}, {"d": "y"}], "e": "z"}, {"b": [0, [{"c": "x", "d": "y"}]], "e": "z"}]},
        ALL,
    ),
]

OR: list[Case] = [
    (METRIC, {"source": "aws.cloudwatch", "metricName": "ReadLatency"}, ALL),
    (METRIC, {"source": "aws.cloudwatch", "metricType": "MetricType", "namespace": "AWS/ES"}, ALL),
    (METRIC, {"source": "aws.cloudwatch", "scope": "Service"}, ALL),
    (METRIC, {"source": "aws.ec2", "scope": "Service"}, 'source is "aws.ec2", wants "aws.cloudwatch"'),
    (
        METRIC,
        {"source": "aws.cloudwatch", "metricType": "MetricType", "metricName": "Errors"},
        (
            'no alternative of $or matched: metricName is "Errors", wants one of "CPUUtilization", '
            '"ReadLatency"; namespace is missing, wants one of "AWS/EC2", "AWS/ES"; '
            'scope is missing, wants "Service"'
        ),
    ),
    (PARALLEL, {"metricName": "CPU", "detail": {"detail-type": "Alarm"}}, ALL),
    (
        PARALLEL,
        {"metricName": "CPU", "detail-type": "Alarm"},
        (
            'no alternative of detail.$or matched: detail.source is missing, wants "aws.cloudwatch"; '
            'detail.detail-type is missing, wants "Alarm"'
        ),
    ),
    (
        {"detail": {"$or": [{"c-count": [{"numeric": [">", 0, "<=", 5]}]}, {"d-count": [{"numeric": ["<", 1]}]}]}},
        EC2,
        ALL,
    ),
    ({"$or": [{"a": [1]}, {"b": [2], "$or": [{"c": [3]}, {"d": [4]}]}]}, {"b": 2, "d": 4}, ALL),
    (
        {"$or": [{"a": [1]}, {"b": [2], "$or": [{"c": [3]}, {"d": [4]}]}]},
        {"b": 2},
        (
            "no alternative of $or matched: a is missing, wants 1; "
            "no alternative of $or matched: c is missing, wants 3; d is missing, wants 4"
        ),
    ),
    (
        {"$or": [{"a": [1]}, {"a": [2]}, {"a": [3]}, {"a": [4]}, {"a": [5]}]},
        {"a": 6},
        "no alternative of $or matched: a is 6, wants 1; a is 6, wants 2; a is 6, wants 3; 2 more",
    ),
    ({"a": {"$or": [{"b": [1]}, {"c": [2]}], "d": [3]}}, {"a": [{"b": 1}, {"c": 2, "d": 3}]}, ALL),
    (
        {"a": {"$or": [{"b": [1]}, {"c": [2]}], "d": [3]}},
        {"a": [{"b": 1}, {"d": 3}]},
        "a.d is missing in the closest of 2 elements, wants 3",
    ),
]

HOSTILE: list[Case] = [
    ({"v": ["x"]}, {"v": "a\x00b\r\nc\x7f\x1b"}, r'v is "a\u0000b\r\nc\u007f\u001b", wants "x"'),
    ({"v": ["x"]}, {"v": "\ud83d"}, r'v is "\ud83d", wants "x"'),
    ({"v": ["\ud83d"]}, {"v": "\ud83d"}, ALL),
    ({"v": ["x"]}, {"v": "\u2028é"}, r'v is "\u2028\u00e9", wants "x"'),
    ({"v": ["x"]}, {"v": "a" * 1_000_000}, f'v is "{"a" * 76}..., wants "x"'),
    ({"v": ["x"]}, {"v": "a" * 78}, f'v is "{"a" * 78}", wants "x"'),
    ({"v": ["x"]}, {"v": "a" * 79}, f'v is "{"a" * 76}..., wants "x"'),
    ({"v": ["x"]}, {"v": ["a" * 50] * 1_000}, f'v is ["{"a" * 50}", "{"a" * 21}..., wants "x"'),
    ({"v": ["x"]}, {"v": 10**4000}, f'v is 1{"0" * 76}..., wants "x"'),
    ({"ip": [{"cidr": "10.0.0.0/8"}]}, {"ip": "1" * 200}, f'ip is "{"1" * 76}..., wants cidr 10.0.0.0/8'),
    ({"naïve\x00": ["x"]}, {}, r'na\u00efve\u0000 is missing, wants "x"'),
    ({"v": ["é" * 40, "b"]}, {"v": ""}, 'v is "", wants one of "' + "\\u00e9" * 12 + '\\u00..., "b"'),
]


# The cases by the section of AWS's documentation that they are taken from. HOSTILE is about our sentences alone.
GUIDE = "https://docs.aws.amazon.com/eventbridge/latest/userguide"
SECTIONS: dict[str, list[Case]] = {
    f"{GUIDE}/eb-create-pattern.html, {GUIDE}/eb-event-patterns-null-values.html": LITERALS,
    f"{GUIDE}/eb-create-pattern-operators.html: prefix, suffix, equals-ignore-case, wildcard": TEXTS,
    f"{GUIDE}/eb-create-pattern-operators.html#eb-filtering-anything-but": ANYTHING_BUT,
    f"{GUIDE}/eb-create-pattern-operators.html#filtering-numeric-matching": NUMERIC,
    f"{GUIDE}/eb-create-pattern-operators.html#eb-filtering-exists-matching": EXISTS,
    f"{GUIDE}/eb-create-pattern-operators.html#eb-filtering-ip-matching": CIDR,
    f"{GUIDE}/eb-event-patterns-arrays.html": ARRAYS,
    f"{GUIDE}/eb-create-pattern-operators.html#eb-filtering-complex-example-or": OR,
    "the verdict's sentence": HOSTILE,
}


@pytest.mark.parametrize(("pattern", "document", "because"), [case for cases in SECTIONS.values() for case in cases])
def test_explain(pattern: Mapping[str, object], document: Mapping[str, object], because: str) -> None:
    answer = compile_pattern(pattern).explain(document)
    assert answer == (because in (ALL, "no clauses"), because)
    assert answer.because.isascii()


def test_the_table_has_every_operator_often() -> None:
    cases = [case for cases in SECTIONS.values() for case in cases]
    assert len(cases) > 200
    for name in (*OPERATORS, "$or"):
        assert len([pattern for pattern, *_ in cases if f'"{name}"' in json.dumps(pattern)]) >= 9


# The summary of all comparison operators, row by row: a document that matches, and one that does not.
SUMMARY: list[tuple[str, Mapping[str, object], Mapping[str, object], Mapping[str, object], str]] = [
    (
        "And",
        {"Location": ["New York"], "Day": ["Monday"]},
        {"Location": "New York", "Day": "Monday"},
        {"Location": "New York", "Day": "Friday"},
        'Day is "Friday", wants "Monday"',
    ),
    (
        "Anything-but",
        {"state": [{"anything-but": "initializing"}]},
        {"state": "running"},
        {"state": "initializing"},
        'state is "initializing", wants anything but "initializing"',
    ),
    (
        "Anything-but (begins with)",
        {"Region": [{"anything-but": {"prefix": "us-"}}]},
        {"Region": "eu-west-1"},
        {"Region": "us-east-1"},
        'Region is "us-east-1", wants anything but prefix "us-"',
    ),
    (
        "Anything-but (ends with)",
        {"FileName": [{"anything-but": {"suffix": ".png"}}]},
        {"FileName": "a.jpg"},
        {"FileName": "a.png"},
        'FileName is "a.png", wants anything but suffix ".png"',
    ),
    (
        "Anything-but (ignore case)",
        {"state": [{"anything-but": {"equals-ignore-case": "initializing"}}]},
        {"state": "running"},
        {"state": "INITIALIZING"},
        'state is "INITIALIZING", wants anything but equals-ignore-case "initializing"',
    ),
    (
        "Anything-but using a wildcard",
        {"FilePath": [{"anything-but": {"wildcard": "*/lib/*"}}]},
        {"FilePath": "/bin/a"},
        {"FilePath": "/usr/lib/a"},
        'FilePath is "/usr/lib/a", wants anything but wildcard "*/lib/*"',
    ),
    (
        "Begins with",
        {"Region": [{"prefix": "us-"}]},
        {"Region": "us-east-1"},
        {"Region": "eu-west-1"},
        'Region is "eu-west-1", wants prefix "us-"',
    ),
    (
        "Begins with (ignore case)",
        {"service": [{"prefix": {"equals-ignore-case": "eventb"}}]},
        {"service": "EVENTBridge"},
        {"service": "events"},
        'service is "events", wants prefix "eventb" ignoring case',
    ),
    ("Empty", {"LastName": [""]}, {"LastName": ""}, {"LastName": None}, 'LastName is null, wants ""'),
    ("Equals", {"Name": ["Alice"]}, {"Name": "Alice"}, {"Name": "alice"}, 'Name is "alice", wants "Alice"'),
    (
        "Equals (ignore case)",
        {"Name": [{"equals-ignore-case": "alice"}]},
        {"Name": "ALICE"},
        {"Name": "Alicia"},
        'Name is "Alicia", wants "alice" ignoring case',
    ),
    (
        "Ends with",
        {"FileName": [{"suffix": ".png"}]},
        {"FileName": "a.png"},
        {"FileName": "a.PNG"},
        'FileName is "a.PNG", wants suffix ".png"',
    ),
    (
        "Ends with (ignore case)",
        {"service": [{"suffix": {"equals-ignore-case": "tbridge"}}]},
        {"service": "EVENTBRIDGE"},
        {"service": "bridges"},
        'service is "bridges", wants suffix "tbridge" ignoring case',
    ),
    (
        "Exists",
        {"ProductName": [{"exists": True}]},
        {"ProductName": None},
        {"Product": "x"},
        "ProductName is missing, wants exists",
    ),
    (
        "Does not exist",
        {"ProductName": [{"exists": False}]},
        {"Product": "x"},
        {"ProductName": "x"},
        'ProductName is "x", wants missing',
    ),
    (
        "Not",
        {"Weather": [{"anything-but": ["Raining"]}]},
        {"Weather": "Sunny"},
        {"Weather": "Raining"},
        'Weather is "Raining", wants anything but "Raining"',
    ),
    ("Null", {"UserID": [None]}, {"UserID": None}, {"UserID": ""}, 'UserID is "", wants null'),
    (
        "Numeric (equals)",
        {"Price": [{"numeric": ["=", 100]}]},
        {"Price": 100},
        {"Price": 99},
        "Price is 99, wants numeric = 100",
    ),
    (
        "Numeric (range)",
        {"Price": [{"numeric": [">", 10, "<=", 20]}]},
        {"Price": 20},
        {"Price": 10},
        "Price is 10, wants numeric > 10 and <= 20",
    ),
    (
        "Or",
        {"PaymentType": ["Credit", "Debit"]},
        {"PaymentType": "Debit"},
        {"PaymentType": "Cash"},
        'PaymentType is "Cash", wants one of "Credit", "Debit"',
    ),
    (
        "Or (multiple fields)",
        {"$or": [{"Location": ["New York"]}, {"Day": ["Monday"]}]},
        {"Location": "Boston", "Day": "Monday"},
        {"Location": "Boston", "Day": "Friday"},
        'no alternative of $or matched: Location is "Boston", wants "New York"; Day is "Friday", wants "Monday"',
    ),
    (
        "Wildcard",
        {"FileName": [{"wildcard": "dir/*.png"}]},
        {"FileName": "dir/a/b.png"},
        {"FileName": "other/b.png"},
        'FileName is "other/b.png", wants wildcard "dir/*.png"',
    ),
]


@pytest.mark.parametrize(("_comparison", "pattern", "matching", "other", "because"), SUMMARY)
def test_the_summary_of_aws_s_page(
    _comparison: str,
    pattern: Mapping[str, object],
    matching: Mapping[str, object],
    other: Mapping[str, object],
    because: str,
) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.explain(matching) == (True, ALL)
    assert compiled.explain(other) == (False, because)


VALUE = "a string, a number, true, false, null or an operator"
FIELD = "a list of values or an object of fields"
LISTED = "a list of values and operators"
OPERATOR = f"one of the operators {', '.join(OPERATORS)}"
WILDCARD = "no two * in a row and no backslash but in \\* or \\\\"
EXCLUDED = "a string, a number, a list of only one of them, or one of prefix, suffix, equals-ignore-case, wildcard"
EXCLUDING = "exactly one of prefix, suffix, equals-ignore-case, wildcard"
NUMBERS = 'one or two comparisons with a number, as in [">", 0, "<=", 5]'
RANGE = "a lower bound with > or >=, then a larger upper bound with < or <="
NETWORK = "an IPv4 or IPv6 network, as in 10.0.0.0/24"
TWO = "a list of at least two patterns"
FIELDS = "an object with at least one field"
RESERVED = "a field; EventBridge reserves the operators' names in $or"

# pattern, path, expected, found, suggestion
FAULTS: list[tuple[object, str, str, str, str]] = [
    (["x"], "match", "an object of fields", "a list", ""),
    ("x", "match", "an object of fields", '"x"', ""),
    ({"action": "opened"}, "match.action", FIELD, '"opened"', '["opened"]'),
    ({"a": {"draft": False}}, "match.a.draft", FIELD, "false", "[false]"),
    ({"a": dt.date(2017, 10, 2)}, "match.a", FIELD, 'date "2017-10-02"', ""),
    ({"a": []}, "match.a", "at least one value", "an empty list", ""),
    ({"a": {}}, "match.a", FIELDS, "an empty object", ""),
    ({"a": ["x", ["y"]]}, "match.a[1]", VALUE, "a list", ""),
    ({"a": [dt.date(2017, 10, 2)]}, "match.a[0]", VALUE, 'date "2017-10-02"', '"2017-10-02"'),
    ({"a": [math.inf]}, "match.a[0]", VALUE, "Infinity", ""),
    ({True: ["x"]}, "match", "field names in quotes", "true", ""),
    ({"a": {"n": [{"wildcrad": "*"}]}}, "match.a.n[0]", OPERATOR, '"wildcrad"', '"wildcard"'),
    ({"a": [{"zzz": 1}]}, "match.a[0]", OPERATOR, '"zzz"', ""),
    ({"a": [{5: 1}]}, "match.a[0]", OPERATOR, "5", ""),
    (
        {"a": ["b", {"prefix": "x", "suffix": "y"}]},
        "match.a[1]",
        "an object with exactly one operator",
        'an object with "prefix", "suffix"',
        "",
    ),
    ({"a": [{}]}, "match.a[0]", "an object with exactly one operator", "an empty object", ""),
    ({"a": {"prefix": "x"}}, "match.a", LISTED, 'the operator "prefix" without a list', '[{"prefix": "x"}]'),
    (
        {"a": {"exists": True}},
        "match.a",
        LISTED,
        'the operator "exists" without a list',
        '[{"exists": true}]',
    ),
    (
        {"a": {"anything-but": ["x", "y"]}},
        "match.a",
        LISTED,
        'the operator "anything-but" without a list',
        '[{"anything-but": ...}]',
    ),
    (
        {"a": {"numeric": [">", 5]}},
        "match.a",
        LISTED,
        'the operator "numeric" without a list',
        '[{"numeric": ...}]',
    ),
    ({"a": {"numeric": 5}}, "match.a.numeric", FIELD, "5", "[5]"),
    ({"a": [{"prefix": 5}]}, "match.a[0].prefix", "a string", "5", ""),
    (
        {"a": [{"suffix": {"equals-ignore-cas": "x"}}]},
        "match.a[0].suffix",
        'a string or {"equals-ignore-case": a string}',
        'an object with "equals-ignore-cas"',
        '"equals-ignore-case"',
    ),
    (
        {"a": [{"prefix": {"equals-ignore-case": None}}]},
        "match.a[0].prefix.equals-ignore-case",
        "a string",
        "null",
        "",
    ),
    ({"a": [{"equals-ignore-case": ["x"]}]}, "match.a[0].equals-ignore-case", "a string", "a list", ""),
    ({"a": [{"wildcard": "a**b"}]}, "match.a[0].wildcard", WILDCARD, '"a**b"', '"a*b"'),
    ({"a": [{"wildcard": "a\\b\\*"}]}, "match.a[0].wildcard", WILDCARD, r'"a\\b\\*"', r'"a\\\\b\\*"'),
    ({"a": [{"wildcard": "a\\"}]}, "match.a[0].wildcard", WILDCARD, r'"a\\"', r'"a\\\\"'),
    ({"a": [{"wildcard": 1}]}, "match.a[0].wildcard", "a string", "1", ""),
    (
        {"a": [{"anything-but": ["x", 1]}]},
        "match.a[0].anything-but",
        EXCLUDED,
        "a list of something else",
        "",
    ),
    (
        {"a": [{"anything-but": [1, True]}]},
        "match.a[0].anything-but",
        EXCLUDED,
        "a list of something else",
        "",
    ),
    ({"a": [{"anything-but": False}]}, "match.a[0].anything-but", EXCLUDED, "false", ""),
    ({"a": [{"anything-but": []}]}, "match.a[0].anything-but", EXCLUDED, "an empty list", ""),
    (
        {"a": [{"anything-but": {"sufix": "x"}}]},
        "match.a[0].anything-but",
        EXCLUDING,
        'an object with "sufix"',
        '"suffix"',
    ),
    ({"a": [{"anything-but": {}}]}, "match.a[0].anything-but", EXCLUDING, "an empty object", ""),
    (
        {"a": [{"anything-but": {"prefix": ["x", ""]}}]},
        "match.a[0].anything-but.prefix",
        "a prefix of at least one character",
        '""',
        "",
    ),
    ({"a": [{"anything-but": {"prefix": [1]}}]}, "match.a[0].anything-but.prefix", "a string", "1", ""),
    (
        {"a": [{"anything-but": {"wildcard": []}}]},
        "match.a[0].anything-but.wildcard",
        "a string or a list of strings",
        "an empty list",
        "",
    ),
    (
        {"a": [{"anything-but": {"wildcard": "**"}}]},
        "match.a[0].anything-but.wildcard",
        WILDCARD,
        '"**"',
        '"*"',
    ),
    ({"a": [{"numeric": 5}]}, "match.a[0].numeric", NUMBERS, "5", ""),
    ({"a": [{"numeric": [">", 1, "<"]}]}, "match.a[0].numeric", NUMBERS, "a list", ""),
    ({"a": [{"numeric": ["!=", 5]}]}, "match.a[0].numeric", "one of = < <= > >=", '"!="', ""),
    ({"a": [{"numeric": [">", "5"]}]}, "match.a[0].numeric", "a number", '"5"', ""),
    ({"a": [{"numeric": [">", True]}]}, "match.a[0].numeric", "a number", "true", ""),
    ({"a": [{"numeric": ["<", 5, ">", 0]}]}, "match.a[0].numeric", RANGE, "< 5 > 0", ""),
    ({"a": [{"numeric": [">", 5, "<", 5]}]}, "match.a[0].numeric", RANGE, "> 5 < 5", ""),
    ({"a": [{"exists": "true"}]}, "match.a[0].exists", "true or false", '"true"', ""),
    ({"a": [{"cidr": "10.0.0.0/33"}]}, "match.a[0].cidr", NETWORK, '"10.0.0.0/33"', ""),
    ({"a": [{"cidr": "10.0.0.5/24"}]}, "match.a[0].cidr", NETWORK, '"10.0.0.5/24"', '"10.0.0.0/24"'),
    ({"a": [{"cidr": "10.0.0.5"}]}, "match.a[0].cidr", NETWORK, '"10.0.0.5"', '"10.0.0.5/32"'),
    ({"$or": {"a": ["x"]}}, "match.$or", TWO, 'an object with "a"', ""),
    ({"$or": [{"a": ["x"]}]}, "match.$or", TWO, "a list of one", ""),
    ({"d": {"$or": [{"a": ["x"]}, "b"]}}, "match.d.$or[1]", FIELDS, '"b"', ""),
    ({"$or": [{"a": ["x"]}, {}]}, "match.$or[1]", FIELDS, "an empty object", ""),
    ({"$or": [{"a": ["x"]}, {"prefix": ["b"]}]}, "match.$or[1].prefix", RESERVED, "an operator", ""),
    ({"n\u00e9\n": [[]]}, r"match.n\u00e9\n[0]", VALUE, "an empty list", ""),
]


@pytest.mark.parametrize(("pattern", "path", "expected", "found", "suggestion"), FAULTS)
def test_fault_is_named(pattern: Mapping[str, object], path: str, expected: str, found: str, suggestion: str) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)
    error = caught.value
    assert (error.path, error.expected, error.found, error.suggestion) == (path, expected, found, suggestion)
    assert str(error).isascii()


def test_all_faults_are_found_at_once() -> None:
    pattern = {"a": "x", "b": [{"prefx": 1}, {"exists": 2}, "fine"], "$or": [{"c": []}, {"d": ["x"]}], "e": ["y"]}
    assert [(fault.path, fault.suggestion) for fault in find_pattern_faults(pattern)] == [
        ("match.a", '["x"]'),
        ("match.b[0]", '"prefix"'),
        ("match.b[1].exists", ""),
        ("match.$or[0].c", ""),
    ]
    assert find_pattern_faults({"a": ["x"]}) == []
    [fault] = find_pattern_faults(["x"])
    assert fault.expected == "an object of fields"
    many = find_pattern_faults({str(number): "x" for number in range(1_000)})
    assert (len(many), many[-1].expected) == (MAX_FAULTS + 2, f"at most {MAX_FAULTS} faults")


def test_error_reads_as_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"^on\.push\.match\.a\[0\]\.exists: expected true or false, found 1$"):
        compile_pattern({"a": [{"exists": 1}]}, path="on.push.match")
    with pytest.raises(ValueError, match=r'found "sufix"; did you mean "suffix"\?$'):
        compile_pattern({"a": [{"sufix": "x"}]})


@pytest.mark.parametrize("name", ["prefix", "suffix", "wildcard", "exists", "cidr", "equals-ignore-case"])
def test_operator_name_may_be_a_field(name: str) -> None:
    pattern = compile_pattern({"client_payload": {name: ["x"]}})
    assert pattern.explain({"client_payload": {name: "x"}}).matched


def nest(depth: int, leaf: object) -> dict[str, Any]:
    nested: Any = leaf
    for _ in range(depth):
        nested = {"a": nested}
    return {"a": nested}


def test_deepest_pattern() -> None:
    pattern = compile_pattern(nest(MAX_DEPTH, ["x"]))
    assert pattern.explain(nest(MAX_DEPTH, "x")).matched
    assert pattern.explain({}).because.startswith("a.a.a.")
    with pytest.raises(PatternError, match=r"expected at most 100 levels, found more$"):
        compile_pattern(nest(MAX_DEPTH + 1, ["x"]))


def test_unfolding_aliases_end() -> None:
    # What YAML makes of "&a {x: *a}" and of a few levels of {x: *b, y: *b}.
    endless: dict[str, object] = {}
    endless["x"] = endless
    with pytest.raises(PatternError, match="at most 100 levels"):
        compile_pattern(endless)
    wide: object = ["x"]
    for _ in range(60):
        wide = {"x": wide, "y": wide}
    with pytest.raises(PatternError, match=f"at most {MAX_CLAUSES} clauses"):
        compile_pattern({"x": wide})


def test_deep_document_is_no_matter() -> None:
    # 100,000 levels, so that any recursion into the document would fail.
    deep: object = "x"
    for _ in range(100_000):
        deep = [deep]
    assert compile_pattern({"v": ["x"]}).explain({"v": deep}).matched
    assert compile_pattern({"v": ["y"]}).explain({"v": deep}).because == 'v is ["x"], wants "y"'


def test_because_is_bounded() -> None:
    pattern = compile_pattern({"k" * 60: {"$or": [{f"{'f' * 60}{n}": ["v" * 70] * 9} for n in range(9)]}})
    answer = pattern.explain({"k" * 60: {f"{'f' * 60}{n}": "s" * 900 for n in range(9)}})
    assert not answer.matched
    assert len(answer.because) == 500
    assert answer.because.endswith("...")


def test_clauses_name_every_leaf() -> None:
    pattern = compile_pattern(
        {
            "action": ["opened"],
            "pull_request": {"draft": [False], "labels": {"name": ["ci", {"prefix": "auto"}]}},
            "$or": [{"sender": {"type": ["User"]}}, {"a": [1], "$or": [{"b": [2]}, {"c": [3]}]}],
        }
    )
    document = {
        "action": "opened",
        "pull_request": {"draft": True, "labels": [{"name": "x"}, {"name": "y"}]},
        "c": 3,
    }
    assert pattern.clauses(document) == [
        Clause("action", '"opened"', '"opened"', matched=True),
        Clause("pull_request.draft", "false", "true", matched=False),
        Clause("pull_request.labels.name", '"ci" or prefix "auto"', '["x", "y"]', matched=False),
        Clause("sender.type", '"User"', "missing", matched=False, alternatives=("$or[0]",)),
        Clause("a", "1", "missing", matched=False, alternatives=("$or[1]",)),
        Clause("b", "2", "missing", matched=False, alternatives=("$or[1]", "$or[0]")),
        Clause("c", "3", "3", matched=True, alternatives=("$or[1]", "$or[1]")),
    ]
    assert pattern.explain(document).because == "pull_request.draft is true, wants false"


def test_clauses_of_an_array_are_of_one_element() -> None:
    clauses = compile_pattern(ANNA_JONES).clauses({"employees": EMPLOYEES})
    assert clauses == [
        Clause("employees.firstName", '"Anna"', '"Anna"', matched=True),
        Clause("employees.lastName", '"Jones"', '"Smith" in the closest of 3 elements', matched=False),
    ]
    clauses = compile_pattern(ANNA_JONES).clauses(
        {"employees": [*EMPLOYEES, {"firstName": "Anna", "lastName": "Jones"}]}
    )
    assert [clause.seen for clause in clauses] == ['"Anna"', '"Jones"']


def test_clauses_of_an_array_are_of_the_element_that_matches() -> None:
    # The other element satisfies more leaves, but no alternative.
    pattern = compile_pattern({"a": {"$or": [{"b": [1], "c": [2], "d": [3]}, {"e": [4]}]}})
    document = {"a": [{"b": 1, "c": 2}, {"e": 4}]}
    assert pattern.explain(document).matched
    assert [clause.seen for clause in pattern.clauses(document)] == ["missing", "missing", "missing", "4"]


def test_empty_pattern_has_no_clauses() -> None:
    assert compile_pattern({}).clauses(EC2) == []


# Few names and values, so that patterns and documents meet.
NAMES = st.sampled_from(["a", "b", "c"])
TEXT = st.text(st.sampled_from("aAb*\\"), max_size=4) | st.text(st.characters(), max_size=100)
PLAIN = st.none() | st.booleans() | st.integers(-2, 2) | st.integers() | st.floats() | TEXT
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(
        PLAIN,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=12,
    ),
)
AMOUNTS = st.integers(-2, 2) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS_OR_ONE = TEXT.filter(bool) | st.lists(TEXT.filter(bool), min_size=1, max_size=2)


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("*", "\\*")


SEGMENTS = st.lists(st.text(st.sampled_from("aaabbb*\\"), min_size=1, max_size=2).map(escape), max_size=4)
WILDCARDS = st.builds(
    lambda first, segments, last: "*".join([*first, *segments, *last]) or "*",
    st.sampled_from([[], [""]]),
    SEGMENTS,
    st.sampled_from([[], [""]]),
)
OPERATIONS = st.one_of(
    st.fixed_dictionaries({"prefix": TEXT | st.fixed_dictionaries({"equals-ignore-case": TEXT})}),
    st.fixed_dictionaries({"suffix": TEXT | st.fixed_dictionaries({"equals-ignore-case": TEXT})}),
    st.fixed_dictionaries({"equals-ignore-case": TEXT}),
    st.fixed_dictionaries({"wildcard": WILDCARDS}),
    st.fixed_dictionaries({"exists": st.booleans()}),
    st.fixed_dictionaries({"cidr": st.sampled_from(["10.0.0.0/8", "::/0"])}),
    st.fixed_dictionaries({"numeric": st.tuples(st.sampled_from(["=", "<", "<=", ">", ">="]), AMOUNTS).map(list)}),
    st.fixed_dictionaries(
        {
            "anything-but": TEXT
            | AMOUNTS
            | st.lists(TEXT, min_size=1, max_size=2)
            | st.lists(AMOUNTS, min_size=1, max_size=2)
            | st.fixed_dictionaries({"prefix": TEXTS_OR_ONE})
            | st.fixed_dictionaries({"suffix": TEXTS_OR_ONE})
            | st.fixed_dictionaries({"equals-ignore-case": TEXTS_OR_ONE})
            | st.fixed_dictionaries({"wildcard": WILDCARDS})
        }
    ),
)
LEAVES = st.lists(st.none() | st.booleans() | AMOUNTS | TEXT | OPERATIONS, min_size=1, max_size=3)


def extend(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(NAMES, inner, min_size=1, max_size=3)
    either = st.lists(fields, min_size=2, max_size=3).map(lambda patterns: {"$or": patterns})
    return fields | st.builds(lambda one, two: one | two, fields, either)


PATTERNS = st.dictionaries(NAMES, st.recursive(LEAVES, extend, max_leaves=6), max_size=3) | extend(
    st.recursive(LEAVES, extend, max_leaves=6)
)


def is_matched(clauses: Iterable[Clause], depth: int = 0) -> bool:
    """Reckons the answer from the clauses alone."""
    either: dict[str, dict[str, list[Clause]]] = {}
    for clause in clauses:
        if len(clause.alternatives) > depth:
            name = clause.alternatives[depth]
            either.setdefault(name.rpartition("[")[0], {}).setdefault(name, []).append(clause)
        elif not clause.matched:
            return False
    return all(any(is_matched(group, depth + 1) for group in groups.values()) for groups in either.values())


@given(PATTERNS, DOCUMENTS)
def test_any_document_is_answered(pattern: dict[str, Any], document: dict[str, Any]) -> None:
    compiled: Pattern = compile_pattern(pattern)
    answer = compiled.explain(document)
    clauses = compiled.clauses(document)
    assert answer.matched == is_matched(clauses)
    texts = [
        answer.because,
        *(text for clause in clauses for text in (clause.path, clause.wants, clause.seen)),
    ]
    assert all(text.isascii() and text.isprintable() for text in texts)
    assert max(map(len, texts)) <= 500
    if not answer.matched and not answer.because.startswith("no alternative") and len(answer.because) < 500:
        named = [f"{c.path} is {c.seen}, wants {c.wants}" for c in clauses if not c.matched]
        assert answer.because in named


@given(PATTERNS, DOCUMENTS)
def test_a_document_from_json_is_answered_alike(pattern: dict[str, Any], document: dict[str, Any]) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.explain(json.loads(json.dumps(document))) == compiled.explain(document)


def match_wildcard(pattern: str, text: str) -> bool:
    """Matches by trying everything, one character at a time."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return match_wildcard(pattern[1:], text) or (bool(text) and match_wildcard(pattern, text[1:]))
    literal, rest = (pattern[1], pattern[2:]) if pattern[0] == "\\" else (pattern[0], pattern[1:])
    return text[:1] == literal and match_wildcard(rest, text[1:])


@given(WILDCARDS, st.text(st.sampled_from("aaabbb*\\"), max_size=9))
def test_wildcard_agrees_with_the_reference(wildcard: str, text: str) -> None:
    matched = compile_pattern({"v": [{"wildcard": wildcard}]}).explain({"v": text}).matched
    assert matched == match_wildcard(wildcard, text)


def test_wildcard_does_not_backtrack() -> None:
    # A backtracking matcher needs longer than anybody waits: about 1000 over 30 tries.
    pattern = compile_pattern({"v": [{"wildcard": "*" + "a*" * 30 + "b"}, {"wildcard": "*a" * 30 + "b*"}]})
    assert not pattern.explain({"v": "a" * 1_000 + "c"}).matched


@given(st.text(st.characters(), max_size=5), st.text(st.characters(), max_size=5))
def test_case_is_ignored_at_both_ends(one: str, two: str) -> None:
    document = {"v": (one + two).swapcase().casefold()}
    expected = {"equals-ignore-case": one.swapcase()}
    assert compile_pattern({"v": [{"prefix": expected}]}).explain(document).matched
    expected = {"equals-ignore-case": two.swapcase()}
    assert compile_pattern({"v": [{"suffix": expected}]}).explain(document).matched
